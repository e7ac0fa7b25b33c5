"""Every way to give an option a value means the same."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from cnnlab.config import options as opts
from cnnlab.config.arguments import check
from cnnlab.config.cli import collect
from cnnlab.config.config import Config
from cnnlab.config.options import Options
from cnnlab.config.resolve import resolve
from cnnlab.config.values import admitted_types
from cnnlab.evaluate import EvaluateOptions
from cnnlab.predict import PredictOptions
from cnnlab.tune.options import TuneOptions, varying_options
from cnnlab.tune.space import parse_space

NONE_MEANS = [
    (Config, "clip_norm", None),
    (Config, "log_dir", None),
    (Config, "class_weights", None),
    (Config, "trace_steps", None),
    (Config, "config", None),
    (Config, "tta", "none"),
    (EvaluateOptions, "tta", "none"),
    (EvaluateOptions, "dataset", None),
    (EvaluateOptions, "verify_data", None),
    (PredictOptions, "tta", "none"),
    (TuneOptions, "pruner", "none"),
    (TuneOptions, "study", None),
]


@pytest.mark.parametrize("word", ["none", "None", "null"])
@pytest.mark.parametrize(("options_class", "name", "value"), NONE_MEANS)
def test_none_as_flag_and_in_python(
    options_class: type[Options], name: str, value: object, word: str
) -> None:
    _, flags = collect([f"--{name}={word}"], options_class)
    given = {name: opts.parse_text(name, flags[name], options_class)}
    assert getattr(opts.build(options_class, given), name) == value
    assert getattr(opts.build(options_class, {name: word}), name) == value


def test_none_in_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("clip_norm: none\nlog_dir: none\ntta: null\nsteps: none\n")
    config = resolve({"config": "r.yaml", "epochs": 2})
    assert (config.clip_norm, config.log_dir, config.tta) == (None, None, "none")
    (tmp_path / "r.yaml").write_text("epochs: 3\n")
    assert resolve({"config": "r.yaml", "steps": "none"}).epochs == 3


def test_none_in_a_search_space() -> None:
    space = parse_space({"activation": ["none", "relu"], "steps": ["none"]}, varying_options(), [])
    base = {"epochs": 3, "model_options": {}}
    point: dict[str, Any] = {"activation": "none", "steps": "none"}
    config = opts.build(Config, space.apply(base, point))
    assert (config.activation, config.steps, config.epochs) == (None, None, 3)


def test_none_as_an_argument_of_a_model() -> None:
    def model(*, rate: float | None = 0.5, place: Literal["none", "first"] = "first") -> None:
        pass

    assert check(model, {"rate": "none", "place": "null"}, "m") == {"rate": None, "place": "none"}


def test_absence_is_absence() -> None:
    """Only the absence of the option means "as in the run"."""
    assert opts.build(EvaluateOptions, {}).tta is None
    assert opts.build(EvaluateOptions, {"tta": None}).tta is None


def test_help_names_none_once() -> None:
    assert opts.describe(EvaluateOptions)["tta"].flag == "--tta=none|mirror|mirror_shift"
    assert opts.describe(Config)["clip_norm"].flag == "--clip_norm=NUMBER|none"


def test_admitted_types() -> None:
    assert admitted_types(Annotated[int, Field(ge=1)] | None) == {int, type(None)}
    assert admitted_types(Literal["a"] | list[int]) == {str, list}
