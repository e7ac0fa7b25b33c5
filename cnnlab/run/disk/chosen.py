"""The checkpoint that a reader chooses: the latest, the best, or that of a step.

A reader takes no lock. Beside it, a training run may delete the checkpoint that the reader found.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.run.disk.checkpoint import BEST_DIR, Checkpoints


def find_checkpoints(save_dir: str | Path, checkpoint: str) -> Checkpoints:
    """Return the checkpoints that contain the chosen one.

    Args:
        save_dir: the run directory.
        checkpoint: "latest", "best" or the number of a step.

    Raises:
        UsageError: `checkpoint` is none of these.
        CnnlabError: there is no checkpoint yet.
    """
    if checkpoint not in ("latest", "best") and not _is_step(checkpoint):
        raise UsageError(f"--checkpoint={checkpoint[:50]} is not latest, best or a step's number")
    checkpoints = Checkpoints(Path(save_dir) / (BEST_DIR if checkpoint == "best" else ""))
    if not _is_step(checkpoint) and not checkpoints.steps():
        raise _no_checkpoint(checkpoints)
    return checkpoints


def restore_chosen(checkpoints: Checkpoints, checkpoint: str, saver: Any, session: Any) -> int:
    """Load the variables of the chosen checkpoint into the session, and return its step.

    Args:
        checkpoints, checkpoint: see `find_checkpoints`.
        saver: a `tf.train.Saver` of the variables to load.
        session: receives the values.

    Raises:
        CnnlabError: there is no such checkpoint, it is damaged, or it is of another model.
    """
    while True:
        step = int(checkpoint) if _is_step(checkpoint) else checkpoints.latest_intact()
        if step is None:
            raise _no_checkpoint(checkpoints)
        try:
            checkpoints.restore(saver, session, step)
        except CnnlabError:
            if _is_step(checkpoint) or step in checkpoints.steps():
                raise  # it is not that a training run has deleted it, and has newer ones
        else:
            return step


def _is_step(checkpoint: str) -> bool:
    return re.fullmatch("[0-9]{1,19}", checkpoint) is not None


def _no_checkpoint(checkpoints: Checkpoints) -> CnnlabError:
    return CnnlabError(f"{checkpoints.folder} holds no checkpoint yet")
