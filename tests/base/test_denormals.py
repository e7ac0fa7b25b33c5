"""Numbers too small for all their digits are zero in every step, whichever thread makes it."""

import sys
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from cnnlab.base.denormals import can_flush, denormals_flushed
from cnnlab.run import loop

needs_flushing = pytest.mark.skipif(not can_flush(), reason="threads cannot be told to flush here")


@needs_flushing
def test_they_are_zero_in_the_block_alone() -> None:
    smallest = sys.float_info.min

    def fail() -> None:
        assert smallest > smallest / 2 == 0
        raise RuntimeError

    with pytest.raises(RuntimeError), denormals_flushed():
        fail()
    assert smallest > smallest / 2 > 0


@needs_flushing
def test_they_are_zero_in_steps() -> None:
    """What the calling thread computes of a step, it computes as TensorFlow's threads would."""
    were_zero = []

    def run(*_: Any, **__: Any) -> tuple[None, float, float, float, float]:
        were_zero.append(sys.float_info.min / 2 == 0)
        return None, 1.0, 1.0, 1.0, 1.0

    session = MagicMock()
    session.make_callable.return_value = run
    train: Any = SimpleNamespace(
        train_graph=MagicMock(),
        session=session,
        config=SimpleNamespace(steps_per_run=2),
        step=0,
        control=SimpleNamespace(is_stopping=False),
    )
    loop.run_steps(train, [], 4)
    assert were_zero == [True, True]


def test_only_a_thread_that_can_flush_makes_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = []
    for can in (True, False):
        monkeypatch.setattr(loop, "can_flush", lambda can=can: can)
        pacer = loop.Pacer("auto")
        pacer.learn(10, 1e-3)
        plans.append(pacer.plan(10, 100, []).arguments)
    assert [*map(bool, plans)] == [True, False]
