"""A Config is made from flags and a recipe, saved with the run and read again."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.config import options as opts
from cnnlab.config.config import Config
from cnnlab.config.resolve import differing_options, graph_options_differ, override, resolve
from cnnlab.data.specs import DATASETS
from cnnlab.run.disk.config_file import config_text, load_config, resolve_for_run

SAVE = Path("save")


def saved(**values: Any) -> Config:
    """Save a run with these options in ./save and return its Config."""
    SAVE.mkdir()
    config = Config(save_dir="save", **values)
    text = config_text(config, {"versions": {"python": "3"}}, DATASETS["shapes"], {}, {})
    (SAVE / "config.yaml").write_text(text, encoding="utf-8")
    return config


def test_defaults_then_recipe_then_flags(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("batch_size: 7\nseed: 3\n")
    config = resolve({"config": "r.yaml", "seed": 4})
    assert (config.batch_size, config.seed, config.decay_steps) == (7, 4, 1000)
    assert config.config == "r.yaml"


def test_a_recipe_with_an_unknown_option_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("batchsize: 7\n")
    message = r"unknown option batchsize in recipe r\.yaml; did you mean batch_size?"
    with pytest.raises(UsageError, match=message):
        resolve({"config": "r.yaml"})


def test_a_function_counts_without_its_file_and_a_pattern_as_it_is() -> None:
    old = {"loss": "my.py:focal", "augment": ["flip", {"my.py:noise": {"by": 2}}]}
    new = {"loss": "src/my.py:focal", "augment": ["flip", {"src/my.py:noise": {"by": 2}}]}
    assert not differing_options(Config(**old), Config(**new))
    other = {**new, "augment": ["flip", {"src/my.py:noise": {"by": 3}}]}
    assert differing_options(Config(**old), Config(**other)) == ["augment"]
    groups = [Config(parameter_groups={f"({flag}:conv1)": 0.0}) for flag in ("?i", "?")]
    assert differing_options(*groups) == ["parameter_groups"]


def test_a_new_length_replaces_the_other_kind() -> None:
    assert override({"steps": 5, "seed": 1}, {"epochs": 2}) == {"seed": 1, "epochs": 2}
    assert override({"epochs": 5}, {"steps": 2}) == {"steps": 2}
    assert override({"epochs": 5}, {"steps": None}) == {"epochs": 5, "steps": None}
    assert resolve({"config": "mnist_convnet", "epochs": 1}).steps is None


def test_every_option_comes_back_from_the_file() -> None:
    unlike_default: dict[str, Any] = {
        "config": None,
        "augment": ["flip", {"pad_and_crop": {"pixels": 2}}],
        "model_options": {"dropout": 0.25},
        "learning_rate": 1e-7,
        "steps": 12,
        "steps_per_run": 7,
        "max_to_keep": None,
        "log_dir": "here: {there}",
        "data_dir": "größe",
        "validation_split": 0.1,
    }
    config = saved(**unlike_default)
    assert load_config(SAVE) == config
    document = yaml.safe_load((SAVE / "config.yaml").read_text(encoding="utf-8"))
    assert document.pop("versions") == {"python": "3"}
    assert document.pop("fingerprints") == {}
    assert document.pop("data")["image_shape"] == [32, 32, 3]
    assert set(document) == set(opts.fields_of(Config))


def test_a_runs_file_is_a_recipe() -> None:
    """Its options hold, but not those of its process, its folders and the name of its recipe."""
    earlier = saved(
        config="mnist_convnet",
        seed=5,
        augment=["flip"],
        class_weights={3: 2.0},
        clip_norm=1.0,
        log_dir="save/logs",
        overwrite=True,
        max_secs=3.0,
        json=True,
    )
    config = resolve_for_run({"config": "save/config.yaml", "save_dir": "new", "clip_norm": "none"})
    changed = {"config": "save/config.yaml", "save_dir": "new", "log_dir": None, "clip_norm": None}
    of_process = {"overwrite": False, "max_secs": None, "json": False}
    assert config == opts.replace(earlier, **changed, **of_process)


def test_options_of_one_process_are_not_saved() -> None:
    saved(json=True, debug=True, overwrite=True, max_secs=3.0)
    config = load_config(SAVE)
    found = (config.json, config.debug, config.overwrite, config.max_secs)
    assert found == (False, False, False, None)


def test_save_dir_alone_goes_on_with_the_run() -> None:
    saved_options = saved(batch_size=7, seed=5, model="mnist_cnn", epochs=3.0)
    config = opts.replace(saved_options, log_dir="save/logs")
    assert resolve_for_run({"save_dir": "save"}) == config
    assert resolve_for_run({"save_dir": "save", "steps": 9}).steps == 9
    assert resolve_for_run({"save_dir": "other"}).batch_size == 500


def test_options_that_shape_the_result_are_refused_and_all_named() -> None:
    saved(batch_size=7, seed=5)
    with pytest.raises(UsageError) as error:
        resolve_for_run({"save_dir": "save", "seed": 6, "batch_size": 8, "checkpoint_steps": 3})
    message = str(error.value)
    assert message.startswith("save holds another run: batch_size (7 there, 8 here), seed (5 there")
    assert message.endswith(
        "start a new one with --save_dir=save-2, or give the same options to resume it"
    )
    assert "checkpoint_steps" not in message


def test_a_recipe_that_differs_is_refused() -> None:
    saved(config="cifar_cnn")
    with pytest.raises(
        UsageError, match=r"holds another run: .*dataset \(cifar10 there, mnist her"
    ):
        resolve_for_run({"save_dir": "save", "config": "mnist_cnn"})


def test_options_that_shape_nothing_may_change() -> None:
    saved(batch_size=7)
    changes = {"checkpoint_steps": 3, "max_to_keep": 1, "steps_per_run": 5, "log_dir": "l"}
    config = resolve_for_run({"save_dir": "save", **changes})
    assert {name: getattr(config, name) for name in changes} == changes
    assert config.batch_size == 7


def test_overwrite_forgets_the_run() -> None:
    saved(batch_size=7)
    assert resolve_for_run({"save_dir": "save", "overwrite": True}).batch_size == 500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"batch_size: [", "not valid YAML"),
        (b"\x80\x81", "not UTF-8 text"),
        (b"", "not a mapping"),
        (b"batch_size: many\n", r"config\.yaml is damaged or from another version: --batch_size=m"),
        (
            b"no_such_option: 1\n",
            r"config\.yaml is damaged or from .*: unknown option no_such_opti",
        ),
    ],
)
def test_a_damaged_file_is_named(content: bytes, message: str) -> None:
    SAVE.mkdir()
    (SAVE / "config.yaml").write_bytes(content)
    for load in (lambda: load_config(SAVE), lambda: resolve_for_run({"save_dir": "save"})):
        with pytest.raises(CnnlabError, match=message) as error:
            load()
        assert "\n" not in str(error.value)
        assert str(SAVE / "config.yaml") in str(error.value)


def test_no_run() -> None:
    with pytest.raises(CnnlabError, match=r"save holds no run \(no config\.yaml\)"):
        load_config("save")


def test_which_options_shape_the_result() -> None:
    """Each option of the first set changes weights or metrics.jsonl; none of the second does."""
    shaping = {
        name
        for name, field in opts.fields_of(Config).items()
        if field.json_schema_extra["shapes_result"]
    }
    assert shaping >= {
        *("dataset", "label_mode", "validation_split", "augment", "scaling"),
        *("model", "model_options", "batch_size", "optimizer", "learning_rate", "schedule"),
        *("decay_steps", "decay_rate", "seed", "eval_steps", "eval_examples", "summary_steps"),
    }
    assert not shaping & {
        *("save_dir", "log_dir", "data_dir", "steps", "epochs", "steps_per_run", "max_secs"),
        *("max_to_keep", "keep_every", "device", "layer_summaries", "overwrite", "json", "debug"),
    }
    assert differing_options(Config(), Config(seed=2, max_to_keep=1)) == ["seed"]


@pytest.mark.parametrize("name", ["eval_steps", "summary_steps"])
def test_how_often_a_run_reports_may_change(name: str) -> None:
    saved(seed=5)
    assert getattr(resolve_for_run({"save_dir": "save", name: 7}), name) == 7


@pytest.mark.parametrize(
    "options",
    [
        {"early_stopping": 3},
        {"schedule": "plateau"},
        {"restore_best": True, "validation_split": 0.1},
    ],
)
def test_evaluations_that_change_the_run_keep_their_steps(options: dict[str, Any]) -> None:
    saved(**options)
    assert resolve_for_run({"save_dir": "save", "summary_steps": 7}).summary_steps == 7
    with pytest.raises(UsageError, match=r"eval_steps \(500 there, 7 here\)"):
        resolve_for_run({"save_dir": "save", "eval_steps": 7})


def test_a_graph_is_kept_only_where_it_fits() -> None:
    config = Config()
    assert not graph_options_differ(config, Config(steps=3, save_dir="x", checkpoint_steps=1))
    for change in ({"seed": 2}, {"device": "cpu"}, {"layer_summaries": True}, {"data_dir": "x"}):
        assert graph_options_differ(config, opts.build(Config, change))


def test_a_recipe_that_every_option_overrides_need_not_be_there() -> None:
    """As when a run that began with `--config=my.yaml` goes on in another folder."""
    Path("my.yaml").write_text("batch_size: 7\n")
    config = resolve({"config": "my.yaml"})
    Path("my.yaml").unlink()
    assert resolve(opts.as_dict(config)) == config
