"""The worked ports of docs/guide/porting.md: each old program, and its port to cnnlab."""

from pathlib import Path

import pytest

from cnnlab.port import port
from scripts import port_study as study
from tests.commands import ROOT

DATA = ROOT / "data"
STEPS = 250
# The largest difference of two test accuracies after STEPS steps from starts of their own.
TOLERANCE = {"monitored": 0.15}  # moving averages of batch norm, early in training


@pytest.mark.parametrize("name", study.NAMES)
def test_the_page_names_both_programs(name: str) -> None:
    page = (ROOT / "docs/guide/porting.md").read_text(encoding="utf-8")
    assert f"(ports/{name}_old.py)" in page
    assert f"(ports/{name}_new.py)" in page
    old = study.PORTS / f"{name}_old.py"
    answer = port(old)
    assert answer["tensorflow"] == (1 if name != "keras" else answer["tensorflow"])
    assert study.lines_of_code(study.PORTS / f"{name}_new.py") < study.lines_of_code(old)


def test_lines_of_code_and_noise(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""A."""\n\n# no\nx = 1  # yes\n')
    assert study.lines_of_code(tmp_path / "a.py") == 2
    assert study.noise(0.5, 0.5) == pytest.approx(2 * (2 * 0.25 / 10000) ** 0.5)


@pytest.mark.slow
@pytest.mark.skipif(
    not (DATA / "mnist").is_dir() or not (DATA / "cifar-10-batches-bin").is_dir(),
    reason="needs MNIST and CIFAR-10: cnnlab data fetch --dataset=mnist, and cifar10",
)
@pytest.mark.parametrize("name", study.NAMES)
def test_old_and_new_reach_the_same_accuracy(name: str) -> None:
    old, new = (study.measure(name, which, str(DATA), STEPS) for which in ("old", "new"))
    least = 0.35 if name == "monitored" else 0.9
    assert min(old.accuracy, new.accuracy) > least
    assert abs(old.accuracy - new.accuracy) < TOLERANCE.get(name, 0.03)
    assert min(old.speed, new.speed) > 0
