"""Denormal numbers are zero in every step, whichever thread computes it."""

import sys
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from cnnlab.base.denormals import can_flush, denormals_flushed
from cnnlab.run import loop

needs_flushing = pytest.mark.skipif(not can_flush(), reason="a thread cannot flush denormals here")


@needs_flushing
def test_denormals_are_zero_only_inside_the_block() -> None:
    smallest = sys.float_info.min

    def fail() -> None:
        assert smallest > smallest / 2 == 0
        raise RuntimeError

    with pytest.raises(RuntimeError), denormals_flushed():
        fail()
    assert smallest > smallest / 2 > 0


@needs_flushing
def test_denormals_are_zero_in_steps() -> None:
    """The calling thread computes its part of a step as TensorFlow's own threads would."""
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
        cluster=None,
        control=SimpleNamespace(is_stopping=False),
    )
    loop.run_steps(train, [], 4)
    assert were_zero == [True, True]


def test_steps_run_on_the_calling_thread_only_if_it_can_flush(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plans = []
    for can in (True, False):
        monkeypatch.setattr(loop, "can_flush", lambda can=can: can)
        pacer = loop.Pacer("auto")
        pacer.learn(10, 1e-3)
        plans.append(pacer.plan(10, 100, []).arguments)
    assert [*map(bool, plans)] == [True, False]
