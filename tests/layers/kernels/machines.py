"""Machines for tests of the choice of kernels."""

import pytest

from cnnlab.layers.kernels import choice
from cnnlab.layers.kernels.choice import Machine

AVX2 = Machine(is_cpu=True, has_onednn=True, has_avx512=False, is_x86=True)
AVX512 = AVX2._replace(has_avx512=True)
LACKING = {
    "CPU": AVX2._replace(is_cpu=False),
    "oneDNN": AVX2._replace(has_onednn=False),
    "x86": AVX2._replace(is_x86=False),
}


def pretend(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    """Let every choice be made as on this machine; what computes is this CPU."""
    monkeypatch.setattr(choice, "machine_of", lambda _tensor: machine)
