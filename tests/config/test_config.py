"""Config accepts valid values, refuses others, and derives what follows from them."""

from pathlib import Path

import pytest

from cnnlab.base.errors import UsageError
from cnnlab.config import options as opts
from cnnlab.config.config import DEFAULT_STEPS, Config

# Names that scripts rely on, and defaults that the texts state.
DEFAULTS = {
    "dataset": "cifar10",
    "data_dir": "./data",
    "model": "cifar_cnn",
    "config": None,
    "batch_size": 500,
    "steps": None,
    "epochs": None,
    "learning_rate": 1e-3,
    "decay_steps": 1000,
    "decay_rate": 0.9,
    "optimizer": "adam",
    "schedule": "exponential",
    "seed": 1,
    "save_dir": "./save",
    "log_dir": None,
    "steps_per_run": "auto",
    "eval_steps": 500,
    "summary_steps": "auto",
    "checkpoint_steps": 1000,
    "max_to_keep": 5,
    "validation_split": 0.0,
    "max_secs": None,
    "overwrite": False,
    "json": False,
    "debug": False,
    "label_mode": "fine",
}


def test_defaults() -> None:
    values = opts.as_dict(Config())
    assert {name: values[name] for name in DEFAULTS} == DEFAULTS


POSITIVE = ("batch_size", "steps", "epochs", "decay_steps", "max_secs", "eval_steps")
POSITIVE += ("eval_examples", "eval_batch_size", "summary_steps", "checkpoint_steps")
POSITIVE += ("max_to_keep", "learning_rate", "decay_rate", "gpu_memory_fraction", "steps_per_run")


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0, -1])
def test_sizes_and_rates_are_positive(name: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"^--{name}={value} is not valid: "):
        opts.build(Config, {name: value})
    opts.build(Config, {name: 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", "inf"),
        ("learning_rate", "nan"),
        ("learning_rate", "fast"),
        ("validation_split", 1),
        ("validation_split", -0.1),
        ("validation_split", "nan"),
        ("decay_rate", 1.5),
        ("decay_rate", "nan"),
        ("epochs", "nan"),
        ("epochs", "inf"),
        ("max_secs", "nan"),
        ("seed", -1),
        ("seed", 2**31),
        ("batch_size", 1.5),
        ("optimizer", "adamm"),
        ("schedule", "linear"),
        ("scaling", "nothing"),
        ("label_mode", "both"),
        ("steps_per_run", "automatic"),
        ("steps_per_run", 2.5),
        ("save_dir", ""),
        ("gpu_memory_fraction", 1.1),
        ("augment", 3),
        ("model_options", "x"),
        ("json", "maybe"),
    ],
)
def test_wrong_values_are_refused(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"^--{name}={value} is not valid: ") as error:
        opts.build(Config, {name: value})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("device", ["auto", "cpu", "gpu", "gpu:0", "gpu:12"])
def test_devices(device: str) -> None:
    assert Config(device=device).device == device


@pytest.mark.parametrize("device", ["tpu", "cpu:1", "gpu:x", "gpu:-1", "gpu:", "auto:0", ""])
def test_no_devices(device: str) -> None:
    with pytest.raises(UsageError, match="auto, cpu, gpu or gpu:N"):
        opts.build(Config, {"device": device})


def test_one_length() -> None:
    with pytest.raises(UsageError, match=r"^--steps and --epochs both set the length"):
        opts.build(Config, {"steps": 5, "epochs": 1})


@pytest.mark.parametrize(
    ("given", "num_train", "steps"),
    [
        ({}, 50_000, DEFAULT_STEPS),
        ({"steps": 7}, 50_000, 7),
        ({"epochs": 200}, 50_000, 20_000),  # the reference program: 200 epochs of 100 steps
        ({"epochs": 1, "batch_size": 6}, 20, 4),  # 3.33 steps, rounded up
        ({"epochs": 0.5, "batch_size": 5}, 20, 2),
        ({"epochs": 1e-9}, 50_000, 1),
    ],
)
def test_total_steps(given: dict[str, float], num_train: int, steps: int) -> None:
    assert opts.build(Config, given).total_steps(num_train) == steps


def test_total_steps_is_exact_where_floats_are_not() -> None:
    """0.1 epochs of 60,000 images in batches of 100 are 60 steps, not 61."""
    assert Config(epochs=0.1, batch_size=100).total_steps(60_000) == 60
    assert Config(epochs=0.07, batch_size=100).total_steps(10_000) == 7
    assert Config(epochs=2.3, batch_size=10).total_steps(100) == 23


def test_log_dir() -> None:
    assert Config(dataset="mnist").resolved_log_dir == Path("save/logs")
    assert Config(save_dir="a/b").resolved_log_dir == Path("a/b/logs")
    assert Config(log_dir="here").resolved_log_dir == Path("here")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("images,pr_curves", ["images", "pr_curves"]),
        ("[projector]", ["projector"]),
        ("all", ["images", "confusion_matrix", "pr_curves", "projector"]),
        ("[all]", ["images", "confusion_matrix", "pr_curves", "projector"]),
        ("[]", []),
    ],
)
def test_parts_of_tensorboard(text: str, expected: list[str]) -> None:
    value = opts.parse_text("tensorboard", text, Config)
    assert opts.build(Config, {"tensorboard": value}).tensorboard == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("100,110", [100, 110]), ("[3, 4]", [3, 4]), ("5", [5, 5]), ("none", None)],
)
def test_traced_steps(text: str, expected: list[int] | None) -> None:
    value = opts.parse_text("trace_steps", text, Config)
    assert opts.build(Config, {"trace_steps": value}).trace_steps == expected


@pytest.mark.parametrize("text", ["7,3", "0,2", "a,b", "1,2,3", "1,101", "3.5", "[]", "{}", "true"])
def test_traced_steps_that_are_not_valid(text: str) -> None:
    with pytest.raises(UsageError, match="--trace_steps="):
        opts.build(Config, {"trace_steps": opts.parse_text("trace_steps", text, Config)})


def test_an_unknown_part_of_tensorboard() -> None:
    with pytest.raises(UsageError, match=r"--tensorboard=curves is not valid: .*pr_curves"):
        opts.build(Config, {"tensorboard": opts.parse_text("tensorboard", "curves", Config)})
