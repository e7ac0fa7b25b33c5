"""Every way to give an option a value means the same."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import yaml
from pydantic import Field

from cnnlab.base.errors import UsageError
from cnnlab.config import options as opts
from cnnlab.config.arguments import check
from cnnlab.config.cli import collect
from cnnlab.config.config import Config
from cnnlab.config.help import describe
from cnnlab.config.options import Options
from cnnlab.config.resolve import resolve
from cnnlab.config.values import admitted_types
from cnnlab.data.__main__ import DataOptions
from cnnlab.data.show import ShowOptions
from cnnlab.evaluate import EvaluateOptions
from cnnlab.export import ExportOptions
from cnnlab.predict import PredictOptions
from cnnlab.report import ReportOptions
from cnnlab.reproduce import ReproduceOptions
from cnnlab.tune.options import TuneOptions, varying_options
from cnnlab.tune.space import parse_space
from tests import small_run

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


def test_a_list_for_an_argument_that_is_a_tuple() -> None:
    """Options hold no tuples, so a model gets the tuple that its function asks for."""

    def model(*, sizes: tuple[int, ...] = (1,)) -> None:
        pass

    given = opts.build(Config, {"model_options": {"sizes": (2, 3)}}).model_options
    assert given == {"sizes": [2, 3]}
    assert check(model, given, "m") == {"sizes": (2, 3)}


def test_absence_is_absence() -> None:
    """Only the absence of the option means "as in the run"."""
    assert opts.build(EvaluateOptions, {}).tta is None
    assert opts.build(EvaluateOptions, {"tta": None}).tta is None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("learning_rate", np.float64(0.5), 0.5),
        ("learning_rate", np.float32(0.5), 0.5),
        ("learning_rate", np.array(0.5), 0.5),
        ("batch_size", np.int64(3), 3),
        ("overwrite", np.bool_(True), True),
        ("optimizer", np.str_("sgd"), "sgd"),
        ("boundaries", np.array([1, 2]), [1.0, 2.0]),
        ("trace_steps", (np.int32(3), 4), [3, 4]),
        ("model_options", {"sizes": (np.int64(3), np.array([1.5]))}, {"sizes": [3, [1.5]]}),
        ("augment", ({"zoom": {"factor": np.float64(2)}},), [{"zoom": {"factor": 2.0}}]),
        ("save_dir", Path("x"), "x"),
        ("model_options", {"file": Path("x")}, {"file": "x"}),
        ("steps_per_run", np.int8(7), 7),
    ],
)
def test_other_types_become_pythons_own(name: str, value: Any, expected: object) -> None:
    found = getattr(opts.build(Config, {name: value}), name)
    assert found == expected
    assert yaml.safe_load(yaml.safe_dump(found)) == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("learning_rate", np.array([0.1, 0.2]), r"\[0.1, 0.2\] is not valid"),
        ("learning_rate", np.complex64(1), "it has a value of type complex"),
        ("batch_size", np.float64(1.5), "1.5 is not valid"),
        ("batch_size", np.bool_(True), "it is not a switch"),
        ("model_options", {"f": len}, "it has a value of type builtin_function_or_method; use num"),
        ("model_options", {"f": {1.5: 2}}, "may have texts and whole numbers as keys only"),
    ],
)
def test_types_that_no_option_takes(name: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=rf"^--{name}=.*{message}"):
        opts.build(Config, {name: value})


@pytest.mark.parametrize(
    ("options_class", "names"),
    [
        (Config, ("config", "data_dir", "init_from", "log_dir", "save_dir")),
        (TuneOptions, ("save_dir", "log_dir", "space")),
        (EvaluateOptions, ("save_dir", "data_dir", "images", "csv", "predictions")),
        (PredictOptions, ("save_dir", "data_dir", "out")),
        (ReportOptions, ("save_dir", "data_dir", "out")),
        (ExportOptions, ("save_dir", "data_dir", "out")),
        (ReproduceOptions, ("save_dir", "data_dir", "out")),
        (DataOptions, ("data_dir",)),
        (ShowOptions, ("save_dir", "data_dir", "out")),
    ],
)
def test_a_tilde_is_the_home_folder(
    options_class: type[Options], names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    for name in names:
        for given in ("~/runs/1.npz", Path("~/runs/1.npz")):
            options = opts.build(options_class, {name: given})
            assert getattr(options, name) == "/home/ada/runs/1.npz"


def test_only_paths_have_a_home_folder() -> None:
    """Every text option but these is a path, so that no path is forgotten."""
    others = {
        *("dataset", "model", "device", "checkpoint", "study", "storage", "class_weights"),
        *("steps_per_run", "eval_batch_size", "xla", "group", "init_skip", "trainable"),
    }
    for options_class in (Config, TuneOptions, EvaluateOptions, PredictOptions, ReportOptions):
        for name, field in opts.fields_of(options_class).items():
            is_text = str in admitted_types(field.annotation)
            is_choice = field.annotation is not str and "Literal" in str(field.annotation)
            if is_text and not is_choice and name not in others:
                assert field.json_schema_extra["is_path"], name


@pytest.mark.parametrize("number", [1e300, -1e39, 1e-300, float("inf"), "1e300"])
@pytest.mark.parametrize(
    "name", ["l1", "l2", "clip_norm", "weight_decay", "learning_rate", "epsilon", "end_factor"]
)
def test_numbers_that_float32_cannot_hold(name: str, number: float | str) -> None:
    with pytest.raises(UsageError, match=f"^--{name}=.* is not valid: "):
        opts.build(Config, {name: number})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("class_weights", [1e300, 1]),
        ("class_weights", {"cat": 1e300}),
        ("boundary_factors", [1, 1e300]),
        ("model_options", {"dropout": [1e-300]}),
        ("parameter_groups", {"bias": {"rate": 1e300}}),
        ("augment", [{"brightness": {"max_delta": 1e300}}]),
    ],
)
def test_numbers_inside_that_float32_cannot_hold(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"^--{name}=.*computes in float32, and 1e-?[+]?300 is"):
        opts.build(Config, {name: value})


def test_numbers_at_the_ends_of_float32() -> None:
    tiny_one, largest = (float(getattr(np.finfo(np.float32), n)) for n in ("tiny", "max"))
    assert opts.build(Config, {"l1": tiny_one, "l2": largest, "max_secs": 1e300}).l2 == largest


@pytest.mark.slow
def test_overwriting_checks_before_it_deletes(tmp_path: Path) -> None:
    with small_run.make(tmp_path, steps=2) as train:
        train.train()
    with pytest.raises(UsageError, match="value of type object"):
        small_run.make(tmp_path, steps=3, overwrite=True, model_options={"x": object()})
    assert (tmp_path / "result.json").is_file()
    given = {"learning_rate": np.float64(0.01), "boundaries": np.array([0.5])}
    with small_run.make(tmp_path, steps=np.int64(3), overwrite=True, **given) as train:
        assert train.train()["step"] == 3
    with small_run.make(tmp_path, steps=np.int64(4), **given) as train:
        assert train.train()["step"] == 4


def test_help_names_none_once() -> None:
    assert describe(EvaluateOptions)["tta"].flag == "--tta=none|mirror|mirror_shift"
    assert describe(Config)["clip_norm"].flag == "--clip_norm=NUMBER|none"


def test_admitted_types() -> None:
    assert admitted_types(Annotated[int, Field(ge=1)] | None) == {int, type(None)}
    assert admitted_types(Literal["a"] | list[int]) == {str, list}
