"""Event files: readable after a kill, and no step is drawn twice."""

import logging
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.run.tensorboard.events import EventWriter
from tests.safety.test_checkpoints import train_on


def drawn(folder: Path, tag: str) -> list[int]:
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    events = EventAccumulator(str(folder), purge_orphaned_data=True)
    events.Reload()
    return [event.step for event in events.Scalars(tag)]


@pytest.mark.slow
def test_steps_made_again_after_a_kill_are_drawn_once(run_dir: Path) -> None:
    (run_dir / "result.json").unlink()
    for path in run_dir.glob("model.ckpt-30.*"):
        path.unlink()  # as if killed after step 30 was drawn and before it was saved
    train_on(run_dir, steps=40)
    assert drawn(run_dir / "logs/train", "loss") == [5, 10, 15, 20, 25, 30, 35, 40]
    assert drawn(run_dir / "logs/val", "accuracy") == [10, 20, 30, 40]


def test_a_file_truncated_at_any_byte_is_readable_up_to_there(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path)
    for step in range(1, 6):
        value = tf.Summary.Value(tag="loss", simple_value=1.0)
        writer.add_summary(tf.Summary(value=[value]), step)
    writer.close()
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for length in range(len(content) // 2, len(content)):
        path.write_bytes(content[:length])
        steps = drawn(tmp_path, "loss")
        assert steps == list(range(1, len(steps) + 1))
        assert 1 <= len(steps) < 5


def test_writers_opened_in_one_second_have_different_files(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        writer = EventWriter(tmp_path)
        value = tf.Summary.Value(tag="loss", simple_value=1.0)
        writer.add_summary(tf.Summary(value=[value]), step)
        writer.close()
    assert len(list(tmp_path.iterdir())) == 3
    assert drawn(tmp_path, "loss") == [1, 2, 3]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CnnlabError, match=r"cannot write .*file/train"):
        EventWriter(tmp_path / "file" / "train")
