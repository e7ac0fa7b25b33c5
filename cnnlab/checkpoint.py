"""Checkpoints, complete or absent.

SAVE_DIR/
    model.ckpt-2000.data-00000-of-00001     the variables, TensorFlow's format
    model.ckpt-2000.index                   their names; renamed into place last, so it says
    "complete" checkpoint                              points at the latest;
    tf.train.latest_checkpoint reads it best/                                   the same, for the
    best step by validation accuracy
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

from cnnlab.errors import CnnlabError
from cnnlab.files import sync, write_atomically
from cnnlab.tf1 import tf

PREFIX = "model.ckpt"
BEST_DIR = "best"
POINTER = "checkpoint"
PARTIAL = ".saving"  # a folder; what is in it was never finished


def make_saver(graph: Any) -> Any:
    """A `tf.train.Saver` of the graph's global variables that also works where eager mode is on.

    TensorFlow's looks at the surroundings of the call instead of at its session's graph. It deletes
    nothing by itself: how many checkpoints stay is decided below.
    """

    class GraphSaver(tf.train.Saver):
        def save(self, *args: Any, **kwargs: Any) -> Any:
            with graph.as_default():
                return super().save(*args, **kwargs)

        def restore(self, *args: Any, **kwargs: Any) -> None:
            with graph.as_default():
                super().restore(*args, **kwargs)

    return GraphSaver(tf.global_variables(), max_to_keep=None)


class Checkpoints:
    """The checkpoints of one folder."""

    def __init__(self, folder: Path, max_to_keep: int | None) -> None:
        """Args: folder: made at the first save; max_to_keep: newest to keep, None for all."""
        self.folder = folder
        self.max_to_keep = max_to_keep

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, ascending."""
        pattern = re.compile(re.escape(PREFIX) + r"-(\d+)\.index")
        matches = (pattern.fullmatch(path.name) for path in self.folder.glob(f"{PREFIX}-*.index"))
        return sorted(int(match[1]) for match in matches if match)

    def path(self, step: int) -> Path:
        """What a Saver calls the checkpoint of a step: the common start of its files' names."""
        return self.folder / f"{PREFIX}-{step}"

    def latest_intact(self) -> int | None:
        """The step of the newest checkpoint that is not damaged, or None if there is none at all.

        Raises:
            CnnlabError: there are checkpoints, and every one is damaged.
        """
        steps = self.steps()
        for step in reversed(steps):
            if self.is_intact(step):
                return step
            print(f"warning: checkpoint {self.path(step)} is damaged, not used", file=sys.stderr)
        if steps:
            raise CnnlabError(f"every checkpoint in {self.folder} is damaged")
        return None

    def save(self, saver: Any, session: Any, step: int) -> None:
        """Write the checkpoint aside, move it into place, point at it, drop the oldest."""
        partial = self.folder / PARTIAL
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        saver.save(
            session, str(partial / f"{PREFIX}-{step}"), write_meta_graph=False, write_state=False
        )
        written = sorted(partial.iterdir())  # .data-* sorts before .index
        for path in written:
            sync(path)
        for path in written:
            path.replace(self.folder / path.name)
        partial.rmdir()
        sync(self.folder)
        name = f"{PREFIX}-{step}"
        write_atomically(
            self.folder / POINTER,
            f'model_checkpoint_path: "{name}"\nall_model_checkpoint_paths: "{name}"\n',
        )
        self._drop_oldest()

    def restore(self, saver: Any, session: Any, step: int) -> None:
        """Load the variables of `step` into the session.

        Raises:
            CnnlabError: there is no such checkpoint, it is damaged, or it is of another model.
        """
        if step not in self.steps():
            known = ", ".join(map(str, self.steps())) or "none"
            raise CnnlabError(f"{self.folder} has no checkpoint of step {step}; it has: {known}")
        try:
            saver.restore(session, str(self.path(step)))
        except (tf.errors.OpError, ValueError) as error:
            problem = self._difference(saver, step) or str(error).split("\n")[0]
            raise CnnlabError(f"checkpoint {self.path(step)} does not load: {problem}") from error

    def is_intact(self, step: int) -> bool:
        """Whether every variable of the checkpoint can be read and has the checksum it was saved
        with."""
        try:
            reader = tf.train.load_checkpoint(str(self.path(step)))
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
        except (tf.errors.OpError, ValueError, RuntimeError):
            return False
        return True

    def remove_all(self) -> None:
        """Delete every checkpoint of the folder, the pointer first."""
        (self.folder / POINTER).unlink(missing_ok=True)
        shutil.rmtree(self.folder / PARTIAL, ignore_errors=True)
        for step in self.steps():
            self._remove(step)

    def _drop_oldest(self) -> None:
        if self.max_to_keep is not None:
            for step in self.steps()[: -self.max_to_keep]:
                self._remove(step)

    def _remove(self, step: int) -> None:
        self.path(step).with_name(f"{PREFIX}-{step}.index").unlink()
        for path in self.folder.glob(f"{PREFIX}-{step}.data-*"):
            path.unlink()

    def _difference(self, saver: Any, step: int) -> str:
        """What variables differ between the checkpoint and the graph, or '' if none do."""
        try:
            saved = tf.train.load_checkpoint(str(self.path(step))).get_variable_to_shape_map()
        except (tf.errors.OpError, ValueError, RuntimeError):
            return ""
        problems = []
        for variable in saver._var_list:
            name, shape = variable.op.name, variable.shape.as_list()
            if name not in saved:
                problems.append(f"{name} is missing")
            elif list(saved[name]) != shape:
                problems.append(f"{name} is {list(saved[name])}, not {shape}")
        return "; ".join(problems)
