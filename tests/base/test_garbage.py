"""The garbage collector is paused inside the block."""

import gc

import pytest

from cnnlab.base.garbage import gc_paused


@pytest.mark.parametrize("was_enabled", [True, False])
def test_gc_is_off_in_the_block_and_then_as_before(was_enabled: bool) -> None:
    found, inside = gc.isenabled(), []

    def block() -> None:
        with gc_paused():
            inside.append(gc.isenabled())
            raise KeyError

    try:
        (gc.enable if was_enabled else gc.disable)()
        with pytest.raises(KeyError):
            block()
        assert (inside, gc.isenabled()) == ([False], was_enabled)
    finally:
        (gc.enable if found else gc.disable)()
