"""What workers send: gradients in bfloat16, and the moments of batch norm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnnlab.base.errors import UsageError
from cnnlab.config.config import Config
from cnnlab.run.cluster.equal_workers import check_sync_bn
from cnnlab.run.cluster.place import Place
from tests import small_run
from tests.run.cluster import workers


@pytest.mark.slow
def test_gradients_in_bfloat16_have_the_same_bits_for_any_number_of_workers(tmp_path: Path) -> None:
    runs = {"run": {"reduce_dtype": "bfloat16", "micro_batches": 4, "steps": 20}}
    found = {count: workers.train(count, tmp_path / str(count), runs)["run"] for count in (1, 2, 4)}
    for of_workers in found.values():
        for one in of_workers:
            small_run.assert_same_bits(one, found[1][0])
    exact = workers.train(1, tmp_path / "exact", {"run": {"micro_batches": 4, "steps": 20}})["run"]
    name = "logits/kernel"
    moved = np.linalg.norm(exact[0][name])
    difference = np.linalg.norm(found[1][0][name] - exact[0][name])
    assert 0 < difference < 0.02 * moved


@pytest.mark.slow
def test_sync_bn_of_two_workers_is_batch_norm_of_one(tmp_path: Path) -> None:
    # SGD: Adam would divide rounding errors by themselves where a gradient is zero.
    given = {"network": "normed", "sync_bn": True, "optimizer": "sgd", "steps": 10}
    runs = {"run": given | {"micro_batches": 2}}
    together = workers.train(2, tmp_path / "two", runs)["run"]
    small_run.assert_same_bits(together[0], together[1])
    for sync, is_close in ((True, True), (False, False)):
        parts = {"run": given | {"sync_bn": sync, "micro_batches": 1 if sync else 2}}
        alone = workers.train(1, tmp_path / f"alone {sync}", parts)["run"][0]
        assert together[0].keys() == alone.keys()
        assert is_close == all(
            np.allclose(together[0][name], alone[name], rtol=1e-3, atol=1e-4) for name in alone
        )


@pytest.mark.parametrize(("count", "parts"), [(1, 2), (2, 4)])
def test_sync_bn_needs_one_part_for_each_worker(count: int, parts: int) -> None:
    place = Place(tuple(f"host{i}:1" for i in range(count)) if count > 1 else ())
    config = Config(sync_bn=True, batch_size=8, micro_batches=parts)
    with pytest.raises(UsageError, match=rf"--micro_batches={parts} and {count} worker"):
        check_sync_bn(place, config)
    check_sync_bn(place, Config(sync_bn=True, batch_size=8, micro_batches=count))
