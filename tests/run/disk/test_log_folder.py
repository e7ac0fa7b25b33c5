"""The folder of event files: whose it is, and that two runs never write into one."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.run.disk.config_file import load_config
from cnnlab.run.disk.lock import locked
from tests import small_run

OPTIONS: dict[str, Any] = {"summary_steps": 1, "eval_steps": 1, "batch_size": 6}


def train(save_dir: str, log_dir: str | None = None, **options: Any) -> dict[str, Any]:
    given = {**OPTIONS, "log_dir": log_dir, "steps": 2, **options}
    with small_run.make(save_dir, small_run.linear, **given) as run:
        return run.train()


def drawn(log_dir: str) -> list[int]:
    """Return the steps of the curve of the training loss, as TensorBoard reads them."""
    accumulator = EventAccumulator(f"{log_dir}/train", size_guidance={"scalars": 0})
    accumulator.Reload()
    return [event.step for event in accumulator.Scalars("loss")]


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def forget_log_dir(save_dir: str) -> None:
    """Make config.yaml that of a version whose default was ./logs/DATASET."""
    path = Path(save_dir) / "config.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "log_dir": None}))


@pytest.mark.slow
def test_each_run_has_its_own_folder_by_default() -> None:
    train("save/a")
    train("save/b", steps=3)
    assert (drawn("save/a/logs"), drawn("save/b/logs")) == ([1, 2], [1, 2, 3])
    assert sorted(path.name for path in Path().iterdir()) == ["save"]
    assert load_config("save/a").log_dir == "save/a/logs"
    shutil.move("save/a", "moved")
    train("moved", load_config("moved").log_dir, steps=3)
    assert drawn("moved/logs") == [1, 2, 3]


@pytest.mark.parametrize("options", [{}, {"overwrite": True}])
@pytest.mark.slow
def test_the_folder_of_another_run_is_refused(options: Any) -> None:
    train("a", "shared")
    before = contents()
    with pytest.raises(UsageError) as error:
        train("b", "shared", **options)
    assert str(error.value) == (
        "shared holds event files of another run; choose another folder, such as --log_dir=shared-2"
    )
    train("b", "own")
    with pytest.raises(UsageError, match="shared holds event files of another run"):
        train("b", "./shared/", steps=3, **options)
    assert {name: now for name, now in contents().items() if name in before} == before


@pytest.mark.slow
def test_a_folder_that_lost_its_run_is_refused() -> None:
    train("save")
    for path in Path("save").iterdir():
        if path.name != "logs":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(
        UsageError, match=r"save/logs holds .* another folder, such as --save_dir=s"
    ):
        train("save")
    train("save", overwrite=True)
    assert drawn("save/logs") == [1, 2]


@pytest.mark.parametrize("log_dir", [None, "chosen"])
@pytest.mark.slow
def test_a_run_goes_on_in_its_folder_and_overwrites_it(log_dir: str | None) -> None:
    for steps in (2, 3):
        train("save", log_dir, steps=steps)
    folder = log_dir or "save/logs"
    assert drawn(folder) == [1, 2, 3]
    train("save", log_dir, overwrite=True)
    assert drawn(folder) == [1, 2]
    assert len(list(Path(folder, "train").iterdir())) == 1


@pytest.mark.slow
def test_a_run_of_an_earlier_version_keeps_its_folder() -> None:
    train("save", "logs/arrays")
    forget_log_dir("save")
    given = {**OPTIONS, "steps": 3}
    with small_run.make("save", small_run.linear, **given) as run:
        del run._given["log_dir"]
        run.train()
    assert drawn("logs/arrays") == [1, 2, 3]
    assert not Path("save/logs").exists()
    assert load_config("save").log_dir == "logs/arrays"


@pytest.mark.slow
def test_a_run_of_an_earlier_version_without_its_folder_gets_the_new_one() -> None:
    train("save")
    forget_log_dir("save")
    assert load_config("save").resolved_log_dir == Path("save/logs")


@pytest.mark.slow
def test_the_offered_name_is_free() -> None:
    train("a", "shared")
    Path("shared-2").mkdir()
    Path("shared-3").symlink_to("nowhere")
    with pytest.raises(UsageError, match="--log_dir=shared-4"):
        train("b", "shared")


@pytest.mark.parametrize(
    ("name", "value"), [("summary_steps", 3), ("eval_steps", 3), ("eval_examples", 3)]
)
@pytest.mark.slow
def test_reports_keep_no_run_from_going_on(name: str, value: int) -> None:
    train("save", eval_examples=5)
    given = {"eval_examples": 5, "steps": 4, name: value}
    assert train("save", **given)["step"] == 4
    for shaping in (
        {"early_stopping": 9, "validation_split": 0.3},
        {"restore_best": True, "validation_split": 0.3},
        {"schedule": "plateau"},
    ):
        folder = next(iter(shaping))
        train(folder, eval_examples=5, **shaping)
        if name == "summary_steps":
            assert train(folder, **given, **shaping)["step"] == 4
        else:
            with pytest.raises(UsageError, match=rf"{name} \([15] there, 3 here\); start a new"):
                train(folder, **given, **shaping)


def test_runs_that_start_at_the_same_time_do_not_share_a_folder() -> None:
    """The other run has written nothing yet."""
    with locked(Path("shared")):
        message = "shared is in use: this process is training there; .* another --log_dir"
        with pytest.raises(CnnlabError, match=message):
            train("save", "shared")
        assert not Path("save").exists()
    train("save", "shared")
    assert drawn("shared") == [1, 2]
    assert not Path("shared/.lock").exists()
