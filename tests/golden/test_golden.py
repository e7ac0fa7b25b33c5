"""The weights after 20 steps of eight recipes have the bits that are recorded in sums.json.

They were recorded before the package was rearranged. A change that is meant to change bits records
them again, and says so in CHANGELOG.md. Other kinds of machine round differently, so the test is
skipped there.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlab.base.machine import describe_machine, versions
from tests.commands import ROOT
from tests.golden.weights import RECIPES

RECORD = json.loads((Path(__file__).parent / "sums.json").read_text(encoding="utf-8"))


def differences() -> list[str]:
    """What of this machine differs from the one of the record."""
    here = {**describe_machine(), **versions(("tensorflow", "tf-keras", "numpy"))}
    return [
        f"{name} is {here[name]}, recorded on {value}"
        for name, value in RECORD["machine"].items()
        if here[name] != value
    ]


@pytest.mark.slow
@pytest.mark.skipif(bool(differences()), reason="; ".join(differences()) or "none")
@pytest.mark.parametrize("isa", ["native", "avx512_rules"])
def test_the_bits_are_those_of_the_record(isa: str) -> None:
    """avx512_rules: kernels are chosen as where oneDNN has AVX-512, and computed with AVX2."""
    words = [sys.executable, "-m", "tests.golden.weights", f"--isa={isa}", *RECIPES]
    done = subprocess.run(words, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == RECORD[isa]
