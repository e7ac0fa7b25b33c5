"""The folder of a run's event files, and the run that it belongs to.

It belongs to the run whose config.yaml names it. So two runs never draw one curve, and no run hides
the curves of another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import free_name, translate_os_errors
from cnnlab.config.config import Config
from cnnlab.run.disk.config_file import CONFIG_FILE, load_config
from cnnlab.run.disk.lock import locked
from cnnlab.run.disk.metrics_file import SPLITS

_EVENT_FILES = "events.out.tfevents.*"


def check_log_dir(config: Config) -> None:
    """Raise UsageError if the run's log_dir holds event files of another run.

    Args:
        config: the resolved options.
    """
    log_dir, save_dir = config.resolved_log_dir, Path(config.save_dir)
    is_default = log_dir == save_dir / "logs"
    if not (is_default and config.overwrite) and is_of_another_run(log_dir, save_dir):
        option = "save_dir" if is_default else "log_dir"
        raise UsageError(
            f"{log_dir} holds event files of another run; choose another folder, such as "
            f"--{option}={free_name(getattr(config, option) or str(log_dir))}"
        )


@contextmanager
def log_dir_locked(config: Config) -> Iterator[None]:
    """Hold the lock of a log_dir outside save_dir, which another run may have chosen, too.

    Raises:
        UsageError: it holds event files of another run by now.
        CnnlabError: another run is writing there.
    """
    log_dir = config.resolved_log_dir
    if log_dir.resolve().is_relative_to(Path(config.save_dir).resolve()):
        yield
        return
    with locked(log_dir, "log_dir"):
        check_log_dir(config)
        yield


def is_of_another_run(log_dir: Path, save_dir: Path) -> bool:
    """Return whether log_dir holds event files, and save_dir holds no run that logs there."""
    if not any(any((log_dir / split).glob(_EVENT_FILES)) for split in SPLITS):
        return False
    if not (save_dir / CONFIG_FILE).is_file():
        return True
    try:
        recorded = load_config(save_dir).resolved_log_dir
    except CnnlabError:
        return True  # --overwrite of a run with a damaged config.yaml
    return recorded.resolve() != log_dir.resolve()


def remove_events(log_dir: Path) -> None:
    """Delete the curves of the run that a folder belongs to.

    Raises:
        CnnlabError: a file cannot be deleted.
    """
    with translate_os_errors(log_dir):
        for split in SPLITS:
            for path in (log_dir / split).glob(_EVENT_FILES):
                path.unlink()
