"""Bad inputs to the real commands: one error line, the right exit code, no damage."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.safety.cases import Case
from scripts.safety.corpus import cases
from scripts.safety.running import run_case

CASES = cases()
# Inputs that fail before TensorFlow is needed.
QUICK = [case for case in CASES if case.name.startswith(("recipe: ", "image: ", "flag: "))]


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len(CASES) >= 200
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", QUICK[::8], ids=lambda case: case.name)
@pytest.mark.slow
def test_some_bad_inputs(case: Case, finished_run: Path, tmp_path: Path) -> None:
    outcome = run_case(case, finished_run, tmp_path / "case")
    assert not outcome.problem, outcome.stderr


@pytest.mark.slow
def test_every_bad_input(finished_run: Path, tmp_path: Path) -> None:
    problems = []
    for case in CASES:
        outcome = run_case(case, finished_run, tmp_path / "case")
        if outcome.problem:
            problems.append(f"{case.name}: {outcome.problem}")
    assert problems == []


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES[:: len(CASES) // 15], ids=lambda case: case.name)
def test_some_in_their_own_process(case: Case, finished_run: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(finished_run, tmp_path / "run")
    case.prepare(tmp_path)
    words = [word.replace("{folder}", str(tmp_path)) for word in case.words]
    found = subprocess.run(
        [sys.executable, "-m", f"cnnlab.{words[0]}", *words[1:]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode in case.codes, found.stderr
    assert "Traceback" not in found.stderr
