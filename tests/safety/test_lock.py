"""The lock of a run directory."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlab.base.errors import CnnlabError
from cnnlab.run.disk.lock import LOCK_FILE, locked

HOLD = "import sys; from pathlib import Path; from cnnlab.run.disk.lock import locked\n" + (
    "with locked(Path(sys.argv[1])): print('held', flush=True); input()"
)


def test_a_second_holder_is_refused_and_the_first_is_named(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "run"),
        pytest.raises(CnnlabError, match="in use: this process"),
        locked(tmp_path / "run"),
    ):
        pass


def test_another_process_is_named_and_its_kill_frees_the_lock(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(CnnlabError, match=f"process {holder.pid} "), locked(tmp_path):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    assert (tmp_path / LOCK_FILE).exists()  # a kill leaves the file
    with locked(tmp_path):
        assert (tmp_path / LOCK_FILE).read_text() == str(os.getpid())
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_removed_between_opening_and_locking_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder may leave at this moment; then another process could lock a new file."""
    real_flock, path = fcntl.flock, tmp_path / LOCK_FILE
    calls = []

    def late_flock(descriptor: int, how: int) -> None:
        if not calls:
            path.unlink()
        calls.append(descriptor)
        real_flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late_flock)
    with locked(tmp_path):
        assert path.exists()
        with pytest.raises(CnnlabError, match="in use"), locked(tmp_path):
            pass


def test_a_planted_link_is_not_written_to(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(victim)
    with pytest.raises(CnnlabError, match="symbolic links"), locked(tmp_path / "run"):
        pytest.fail("the block ran")
    assert victim.read_text() == "kept"
