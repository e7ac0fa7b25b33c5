"""With every ingredient, stopping, resuming and longer session runs do not change a bit."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Train
from cnnlab.data.augment import AUGMENTATIONS
from cnnlab.graph.update import precision
from cnnlab.layers.initializers import INITIALIZERS
from tests import small_run

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd": {"clip_norm": 0.5},
    "momentum": {"weight_decay": 0.01},
    "nesterov": {"parameter_groups": {"bias|beta": {"rate": 64, "weight_decay": 0.02}}},
    "adagrad": {"micro_batches": 2},
    "rmsprop": {"momentum": 0.5, "parameter_groups": {"logits": 0}},
    "adamw": {"weight_decay": 0.1, "ema_decay": 0.9},
    "muon": {"lookahead_steps": 2, "lookahead_ramp": True, "weight_decay": 0.01},
}
SCHEDULES: dict[str, dict[str, Any]] = {
    "constant": {"warmup_steps": 4},
    "exponential": {"decay_steps": 3, "staircase": False},
    "polynomial": {"end_factor": 0.1},
    "quadratic": {},
    "piecewise": {},
    "cosine": {"warmup_steps": 2},
    "one_cycle": {},
    "plateau": {"plateau_patience": 1, "plateau_factor": 0.5},
}
PAIRS = {
    f"{optimizer}, {schedule}": {
        "optimizer": optimizer,
        "schedule": schedule,
        "learning_rate": 0.01,
        **OPTIMIZERS[optimizer],
        **SCHEDULES[schedule],
    }
    for optimizer, schedule in zip(OPTIMIZERS, SCHEDULES, strict=True)
}
CROPS = ("random_crop", "central_crop")  # by default larger than these images
ALL_AUGMENTATIONS = {
    "moving": {"augment": ["alternating_flip", "vertical_flip", {"random_crop": {"size": 6}}]},
    "computing": {"augment": [n for n in AUGMENTATIONS if n not in ("mixup", *CROPS)]},
    "mixing": {
        "augment": ["flip", "cutmix", "mixup", "normalize"],
        "label_smoothing": 0.1,
        "class_weights": "balanced",
    },
    "whitened": {"scaling": "zca", "loss": "sigmoid", "l1": 0.001, "l2": 0.001},
    "activation, initializer": {"activation": "gelu", "kernel_initializer": "orthogonal"},
}


def make(folder: Path, **options: Any) -> Train:
    """Return a Train that evaluates, summarizes and saves between its steps."""
    return small_run.make(folder, **{**small_run.BUSY, **options})


def run(folder: Path, **options: Any) -> dict[str, Any]:
    """Train as `make` says, and return all variables."""
    return small_run.run(folder, **{**small_run.BUSY, **options})


def check(tmp_path: Path, options: dict[str, Any]) -> None:
    """Compare a whole run with one that is stopped within an epoch and has longer session runs."""
    whole = run(tmp_path / "whole", steps_per_run=1, **options)
    assert all(np.isfinite(value).all() for value in whole.values())
    folder = tmp_path / "stopped"
    with make(folder, hooks=[small_run.StopAt(5)], steps_per_run=7, **options) as train:
        assert train.train()["finished"] is False
        assert train.step == 5
    small_run.assert_same_bits(whole, run(folder, steps_per_run="auto", **options))


def marked(names: Iterable[str], slow: set[str]) -> list[Any]:
    """Return the names as parameters; those in `slow` get the slow mark."""
    return [pytest.param(n, marks=pytest.mark.slow) if n in slow else n for n in names]


SLOW_PAIRS = {p for p in PAIRS if p.split(",")[0] != "muon"}


@pytest.mark.parametrize("pair", marked(PAIRS, SLOW_PAIRS))
@pytest.mark.slow
def test_optimizers_and_schedules(tmp_path: Path, pair: str) -> None:
    check(tmp_path, PAIRS[pair])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL_AUGMENTATIONS)
def test_augmentations_losses_and_scalings(tmp_path: Path, kind: str) -> None:
    check(tmp_path, ALL_AUGMENTATIONS[kind])


@pytest.mark.slow
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_with_every_schedule(tmp_path: Path, optimizer: str, schedule: str) -> None:
    check(tmp_path, {"optimizer": optimizer, "schedule": schedule, **SCHEDULES[schedule]})


@pytest.mark.slow
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_augmentation(tmp_path: Path, name: str) -> None:
    check(tmp_path, {"augment": [{name: {"size": 5}} if name in CROPS else name]})


@pytest.mark.slow
@pytest.mark.parametrize("name", INITIALIZERS)
def test_each_initializer(tmp_path: Path, name: str) -> None:
    check(tmp_path, {"kernel_initializer": name})


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss", ["sparse_softmax", "sigmoid", "mse", "msle", "mae", "hinge", "squared_hinge", "kl"]
)
def test_each_loss(tmp_path: Path, loss: str) -> None:
    check(tmp_path, {"loss": loss})


PRECISIONS: dict[str, dict[str, Any]] = {
    "bfloat16": {},
    "float16": {"ema_decay": 0.9},
    "float16 in parts": {"micro_batches": 2, "parameter_groups": {"bias": 2}},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", PRECISIONS)
def test_each_precision(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "FIRST_SCALE", 2.0**22)  # too large: skips the first steps
    monkeypatch.setattr(precision, "GROWTH_STEPS", 2)
    check(tmp_path, {"precision": kind.split()[0], **PRECISIONS[kind]})


@pytest.mark.slow
def test_a_kill_between_evaluation_and_checkpoint_changes_nothing(tmp_path: Path) -> None:
    """The plateau's state comes from the checkpoint, not from later evaluations."""

    class KilledError(Exception):
        pass

    class KillAt(small_run.StopAt):
        def after_step(self, train: Any, state: Any) -> None:
            raise KilledError

    options = {**SCHEDULES["plateau"], "schedule": "plateau", "early_stopping": 50}
    whole = run(tmp_path / "whole", **options)
    assert whole["plateau/reductions"] > 0
    # Evaluations are at steps 2, 4, 6 and 8, checkpoints at 4 and 8. The evaluation at 6 is lost.
    with (
        make(tmp_path / "killed", hooks=[KillAt(7)], **options) as train,
        pytest.raises(KilledError),
    ):
        train.train()
    small_run.assert_same_bits(whole, run(tmp_path / "killed", **options))
    both = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "killed")]
    steps = [[line.split(",")[0] for line in text.splitlines()] for text in both]
    assert steps[0] == steps[1]


@pytest.mark.slow
def test_a_longer_run_keeps_the_schedule_it_began_with(tmp_path: Path) -> None:
    options = {"schedule": "cosine", "lookahead_steps": 2, "lookahead_ramp": True}
    run(tmp_path / "short", steps=6, **options)
    longer = run(tmp_path / "short", steps=9, **options)
    straight = run(tmp_path / "straight", steps=9, schedule_steps=6, **options)
    small_run.assert_same_bits(longer, straight)


@pytest.mark.slow
def test_the_evaluation_after_the_last_step_does_not_count_for_the_plateau(tmp_path: Path) -> None:
    """A longer run would not evaluate at that step, unless it is a multiple of eval_steps."""
    options = {"schedule": "plateau", "plateau_patience": 2, "learning_rate": 1e-12}
    run(tmp_path / "short", steps=5, **options)
    longer = run(tmp_path / "short", steps=8, **options)
    straight = run(tmp_path / "straight", steps=8, **options)
    small_run.assert_same_bits(longer, straight)
    assert straight["plateau/reductions"] + straight["plateau/waited"] > 0


@pytest.mark.slow
def test_options_that_are_off_add_no_variable(tmp_path: Path) -> None:
    with make(tmp_path, optimizer="sgd") as train:
        names = sorted(v.op.name for v in train.saver._var_list)
    assert names == [
        "conv1/bias",
        "conv1/kernel",
        "global_step",
        "logits/bias",
        "logits/kernel",
        "norm1/beta",
        "norm1/gamma",
        "norm1/moving_mean",
        "norm1/moving_variance",
    ]
