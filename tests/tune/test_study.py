"""The study in its database: numbers, queue, samplers, pruning, and errors."""

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.tune.space import Point, parse_space
from cnnlab.tune.study import LOST_SECS, Study

GRID: list[Point] = [{"dropout": value} for value in (0.1, 0.2, 0.3)]
RANGES = {"dropout": {"low": 0.0, "high": 0.9}, "units": {"low": 4, "high": 64, "log": True}}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with Optuna's empty tables, created once because that is slow."""
    path = tmp_path_factory.mktemp("tables") / "study.db"
    optuna.storages.RDBStorage(f"sqlite:///{path}")
    return path


@pytest.fixture(autouse=True)
def database(tables: Path, tmp_path: Path) -> None:
    shutil.copy(tables, tmp_path / "study.db")


def open_study(
    folder: Path,
    sampler: str = "grid",
    pruner: str = "none",
    owner: str = "here",
    grid: Sequence[Point] | None = None,
    space: Any = None,
    **changes: Any,
) -> Study:
    if sampler == "grid":
        grid, space = grid or GRID, {"dropout": [0.1, 0.2, 0.3]}
    given: dict[str, Any] = {
        "identity": {"seed": 1},
        "space": parse_space(space or RANGES, [], ["dropout", "units"]),
        "grid": grid,
        "sampler": sampler,
        "pruner": pruner,
        "seed": 1,
        "metric": "accuracy",
        "owner": owner,
        "is_private": False,
        "overwrite": False,
    }
    return Study(folder / "study.db", "s", **{**given, **changes})


def numbers(study: Study, total: int = 3) -> list[int]:
    taken = []
    while (trial := study.next_trial(total)) is not None:
        taken.append(trial[0])
    return taken


def test_two_machines_take_each_point_of_a_grid_once(tmp_path: Path) -> None:
    here, there = open_study(tmp_path), open_study(tmp_path, owner="there")
    found = [here.next_trial(3), there.next_trial(3), here.next_trial(3), there.next_trial(3)]
    assert found == [(0, GRID[0]), (1, GRID[1]), (2, GRID[2]), None]
    assert here.next_trial(3) is None


def test_an_interrupted_trial_keeps_its_number(tmp_path: Path) -> None:
    killed = open_study(tmp_path, "tpe")
    first, second = killed.next_trial(3), killed.next_trial(3)
    assert first is not None
    assert second is not None
    killed.finish(0, "complete", 0.5)
    again = open_study(tmp_path, "tpe")  # the same owner, whose process has ended
    assert again.next_trial(3) == second
    assert numbers(again) == [2]
    again.finish(1, "stopped", None)
    assert again.next_trial(3) == second


def test_trials_of_another_machine_are_taken_when_it_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = open_study(tmp_path, owner="there"), open_study(tmp_path)
    there.next_trial(3)
    assert numbers(here) == [1, 2]
    from cnnlab.tune import study as module

    now = module.time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + LOST_SECS + 9)
    assert numbers(here) == [0]


def test_a_private_database_has_no_other_machines(tmp_path: Path) -> None:
    open_study(tmp_path, owner="the folder's old name").next_trial(3)
    assert numbers(open_study(tmp_path, is_private=True)) == [0, 1, 2]


def test_trials_above_the_total_wait_for_a_larger_total(tmp_path: Path) -> None:
    """This happens if two machines take the last trial at the same moment."""
    study = open_study(tmp_path)
    optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path / 'study.db'}").ask()
    assert numbers(study, 1) == []
    study = open_study(tmp_path, is_private=True)
    assert numbers(study, 1) == [0]
    assert numbers(study, 3) == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_an_interrupted_study_tries_the_same_values(sampler: str, tmp_path: Path) -> None:
    """The values of a trial depend on the seed, its number and the earlier results."""

    def search(folder: Path, is_cut: bool) -> list[Any]:
        folder.mkdir()
        shutil.copy(tmp_path / "study.db", folder)
        study, found = open_study(folder, sampler), []
        for _ in range(14):
            if is_cut:
                study.next_trial(14)
                study = open_study(folder, sampler)
            trial = study.next_trial(14)
            assert trial is not None
            found.append(trial)
            value = -((float(trial[1]["dropout"] or 0) - 0.3) ** 2)
            study.finish(trial[0], "complete", value)
        return found

    whole, pieces = search(tmp_path / "whole", False), search(tmp_path / "pieces", True)
    assert whole == pieces
    assert len({str(point) for _, point in whole}) == 14
    assert all(0 <= point["dropout"] <= 0.9 for _, point in whole)
    assert all(isinstance(point["units"], int) for _, point in whole)


def test_ranges_with_a_step(tmp_path: Path) -> None:
    space = {"dropout": {"low": 0.0, "high": 0.5, "step": 0.2}, "units": {"low": 4, "high": 9}}
    study = open_study(tmp_path, "random", space=space)
    points = [trial[1] for _ in range(4) if (trial := study.next_trial(4))]
    assert {round(float(point["dropout"] or 0), 9) for point in points} <= {0.0, 0.2, 0.4}
    assert {point["units"] for point in points} <= set(range(4, 10))


def test_halving_prunes_all_but_the_best_third(tmp_path: Path) -> None:
    study = open_study(tmp_path, "random", "halving")
    pruned = []
    for number, figure in enumerate([0.5, 0.4, 0.6, 0.3, 0.7]):
        study.next_trial(9)
        if study.should_prune(number, [(1, figure)]):
            pruned.append(number)
            study.finish(number, "pruned", None)
        else:
            assert not study.should_prune(number, [(1, figure), (2, figure)])
            study.finish(number, "complete", figure)
    assert pruned == [1, 3]
    rows = study.rows()
    assert [row.state for row in rows] == ["complete", "pruned", "complete", "pruned", "complete"]
    assert rows[1].value == 0.4
    assert not study.is_done(6)
    assert study.is_done(5)


@pytest.mark.slow
def test_median_and_loss(tmp_path: Path) -> None:
    study = open_study(tmp_path, "random", "median", metric="loss")
    for number in range(6):
        study.next_trial(9)
        worse = study.should_prune(number, [(1, 1.0 + number)])
        study.finish(number, "complete", 1.0 + number)
    assert worse  # than the median of the first five trials


def test_facts_and_failures(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    numbers(study)
    study.finish(0, "complete", 0.9, test_accuracy=0.8, seconds=3.0)
    study.finish(1, "failed", None, error="the loss is nan at step 3")
    study.send_heartbeats()
    rows = study.rows()
    assert rows[0].facts == {"test_accuracy": 0.8, "seconds": 3.0}
    assert (rows[1].state, rows[1].value) == ("failed", None)
    assert rows[1].facts == {"error": "the loss is nan at step 3"}
    assert rows[2].state == "running"


def test_another_study_is_refused(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    study.next_trial(3)
    with pytest.raises(UsageError, match=r"study s has other options: seed \(1 there, 2 here\)"):
        open_study(tmp_path, identity={"seed": 2})
    assert open_study(tmp_path, identity={"seed": 2}, overwrite=True).rows() == []
    url = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(study_name="foreign", storage=url).ask()
    with pytest.raises(UsageError, match="foreign is a study of another program"):
        Study(
            url,
            "foreign",
            identity={},
            space=parse_space(RANGES, [], ["dropout", "units"]),
            grid=None,
            sampler="tpe",
            pruner="none",
            seed=1,
            metric="loss",
            owner="here",
            is_private=False,
            overwrite=False,
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:////no/such/folder/study.db", "the study's database cannot be used: unable to op"),
        ("nonsense", "the study's database cannot be used: "),
        ("nosuchdb://user:secret@host/name", "the study's database cannot be used: "),
    ],
)
def test_databases_that_cannot_be_used(url: str, message: str, tmp_path: Path) -> None:
    from cnnlab.tune import study as module

    with pytest.raises(CnnlabError) as error:
        module.Study(
            url,
            "s",
            identity={},
            space=parse_space(RANGES, [], ["dropout", "units"]),
            grid=None,
            sampler="tpe",
            pruner="none",
            seed=1,
            metric="loss",
            owner="here",
            is_private=False,
            overwrite=False,
        )
    assert message in str(error.value)
    assert "secret" not in str(error.value)


def test_the_database_is_in_a_folder_of_any_name(tables: Path, tmp_path: Path) -> None:
    """In a URL these signs have a meaning, so the database was elsewhere."""
    folder = tmp_path / "a?b=c%41 #{SCHEMA_VERSION}\nd"
    folder.mkdir()
    shutil.copy(tables, folder / "study.db")
    before = {path.name for path in tmp_path.iterdir()}
    assert numbers(open_study(folder), 2) == [0, 1]
    assert {path.name for path in tmp_path.iterdir()} == before
    with sqlite3.connect(folder / "study.db") as database:
        assert database.execute("SELECT study_name FROM studies").fetchall() == [("s",)]
