"""A run has the same bits for any number of workers that divides its micro-batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.graph.micro_batches import tree_of
from cnnlab.run.disk.result_file import read_result
from tests import small_run
from tests.run.cluster import workers

PLAIN: dict[str, dict[str, Any]] = {
    "adam": {"eval_steps": 2, "eval_batch_size": 2},
    "ema": {"optimizer": "momentum", "ema_decay": 0.9, "eval_weights": "ema"},
    "mixup": {"optimizer": "muon", "augment": ["flip", "mixup"], "clip_norm": 1.0},
}
MORE: dict[str, dict[str, Any]] = {
    name: {"optimizer": name} for name in ("sgd", "nesterov", "adagrad", "rmsprop", "adamw")
} | {
    "lookahead": {"lookahead_steps": 2, "eval_weights": "lookahead"},
    "float16": {"precision": "float16"},
    "plateau": {"schedule": "plateau", "eval_steps": 1, "plateau_patience": 1},
    "early stopping": {"steps": 50, "eval_steps": 1, "early_stopping": 2, "learning_rate": 1e-9},
    "cutmix": {"augment": ["cutmix"], "l2": 0.01},
    "alternating flip": {"augment": ["alternating_flip"], "class_weights": [1, 2, 3, 4]},
}


DECISIONS: dict[str, dict[str, Any]] = {
    "restore_best": {"restore_best": True, "validation_split": 0.4, "eval_steps": 1, "steps": 9},
    "early_stopping": {**MORE["early stopping"], "restore_best": True, "validation_split": 0.4},
    "rollback": {
        "network": "fragile_model",
        "optimizer": "sgd",
        "schedule": "constant",
        "learning_rate": 0.3,
        "steps": 6,
        "checkpoint_steps": 3,
        "on_nan": "rollback",
        "rollback_factor": 0.1,
    },
}


def assert_same(folder: Path, count: int, runs: dict[str, dict[str, Any]]) -> None:
    together = workers.train(count, folder / "together", runs)
    alone = workers.train(1, folder / "alone", runs)
    for name in runs:
        for found in together[name]:
            small_run.assert_same_bits(found, alone[name][0])


@pytest.mark.slow
def test_two_workers_give_the_bits_of_one(tmp_path: Path) -> None:
    assert_same(tmp_path, 2, PLAIN)


@pytest.mark.slow
def test_two_workers_train_several_heads_as_one(tmp_path: Path) -> None:
    heads = {"fake": "heads", "head_weights": {"high": 0.3}, "eval_steps": 2}
    assert_same(tmp_path, 2, {"heads": heads})


@pytest.mark.slow
def test_a_run_has_nothing_of_the_one_before(tmp_path: Path) -> None:
    # In one process, the labels are integers [n], then real values [n, 1], then integers again.
    values = {"fake": "values", "loss": "mse"}
    assert_same(tmp_path, 2, {"classes": {}, "values": values, "classes again": {}})


@pytest.mark.slow
def test_two_workers_decide_as_one(tmp_path: Path) -> None:
    assert_same(tmp_path, 2, DECISIONS)
    results = [read_result(tmp_path / "alone" / name) for name in DECISIONS]
    best, stopped, rolled_back = (result or {} for result in results)
    assert best["weights"] == "best"
    assert best["best"]["step"] < best["step"] == 9
    assert stopped["stopped_early"] is True
    assert (rolled_back["rollbacks"], rolled_back["step"]) == (1, 6)
    for name, result in zip(DECISIONS, results, strict=True):
        found = {**(read_result(tmp_path / "together" / name) or {}), "seconds": 0}
        assert found == {**(result or {}), "seconds": 0}


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4, 8])
def test_any_number_of_workers_gives_the_bits_of_one(count: int, tmp_path: Path) -> None:
    assert_same(tmp_path, count, {**PLAIN, **MORE} if count == 2 else PLAIN)


@pytest.mark.slow
def test_a_ring_gives_the_same_but_for_rounding(tmp_path: Path) -> None:
    runs = {"ring": {"reduce": "ring", "steps": 200, "optimizer": "sgd"}}
    together = workers.train(2, tmp_path / "together", runs)["ring"]
    alone = workers.train(1, tmp_path / "alone", runs)["ring"][0]
    small_run.assert_same_bits(together[0], together[1])
    for name, value in alone.items():
        np.testing.assert_allclose(together[0][name], value, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("count", "tree"), [(1, [1]), (2, [2]), (3, [3]), (8, [2, 2, 2]), (12, [2, 2, 3])]
)
def test_the_tree_halves_the_parts_while_it_can(count: int, tree: list[int]) -> None:
    assert tree_of(count) == tree


def test_the_old_name_of_micro_batches_still_counts(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", small_run.linear, accumulate_steps=3) as train:
        assert train.config.micro_batches == 3
