"""Checkpoints, complete or absent.

SAVE_DIR/
    model.ckpt-2000.data-00000-of-00001   the variables, TensorFlow's format
    model.ckpt-2000.index                 their names; renamed into place last: it says "complete"
    model.ckpt-3000.*.damaged             one that did not pass its checksums, set aside
    checkpoint                            names the latest, for tf.train.latest_checkpoint
    best/                                 the same, for the best step by validation accuracy
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import cannot_write, sync, translate_os_errors, write_atomically
from cnnlab.base.tf1 import reason_of, tf
from cnnlab.run.disk.signatures import Signature, difference, signatures_of

PREFIX = "model.ckpt"
BEST_DIR = "best"
POINTER = "checkpoint"
PARTIAL = ".saving"  # a folder; what is in it was never finished
DAMAGED = ".damaged"
MAX_STEP = 2**63 - 1  # of the int64 variable that counts them
_NONE: frozenset[int] = frozenset()


def find_checkpoint(save_dir: str | Path, checkpoint: str) -> tuple[Checkpoints, int]:
    """Where a checkpoint of a run is, and its step.

    Args:
        save_dir: the run directory.
        checkpoint: "latest", "best" or the number of a step.

    Raises:
        UsageError: it is none of these.
        CnnlabError: there is none yet, or every one is damaged.
    """
    is_step = re.fullmatch("[0-9]{1,19}", checkpoint) is not None
    if checkpoint not in ("latest", "best") and not is_step:
        raise UsageError(f"--checkpoint={checkpoint[:50]} is not latest, best or a step's number")
    checkpoints = Checkpoints(Path(save_dir) / (BEST_DIR if checkpoint == "best" else ""))
    step = int(checkpoint) if is_step else checkpoints.latest_intact()
    if step is None:
        raise CnnlabError(f"{checkpoints.folder} holds no checkpoint yet")
    return checkpoints, step


class Checkpoints:
    """The checkpoints of one folder."""

    def __init__(
        self, folder: Path, max_to_keep: int | None = None, keep_every: int | None = None
    ) -> None:
        """Args: folder: made at the first save; max_to_keep: newest to keep, None for all;
        keep_every: those whose step is a multiple of it stay as well.

        Raises:
            UsageError: TensorFlow could write to such a folder but not read from it.
        """
        if found := re.search(r"[\[\\]", str(folder)):
            sign = found[0]
            raise UsageError(f"{folder}: TensorFlow reads no checkpoints below folders with {sign}")
        self.folder = folder
        self.max_to_keep = max_to_keep
        self.keep_every = keep_every

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, ascending."""
        pattern = re.compile(re.escape(PREFIX) + r"-(0|[1-9][0-9]{0,18})\.index")
        matches = (pattern.fullmatch(path.name) for path in self.folder.glob(f"{PREFIX}-*.index"))
        return sorted(step for m in matches if m and (step := int(m[1])) <= MAX_STEP)

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
            if (damage := self.damage(step)) is None:
                return step
            print(
                f"warning: checkpoint {self.path(step)} is damaged ({damage}), not used",
                file=sys.stderr,
            )
        if steps:
            raise CnnlabError(f"every checkpoint in {self.folder} is damaged")
        return None

    def save(self, saver: Any, session: Any, step: int) -> None:
        """Write the checkpoint of a step and put it into effect: `write` and `commit`."""
        self.write(saver, session, step)
        self.commit(step)

    def write(self, saver: Any, session: Any, step: int, values: Any = None) -> None:
        """Write the checkpoint of a step aside, where it does not count yet.

        Args:
            saver: a `tf.train.Saver`.
            session: holds the variables.
            step: the checkpoint's.
            values: of each of `saved_tensors`, if not what the session holds now.

        Raises:
            CnnlabError: the disk is full or the folder cannot be written; the checkpoints that were
                there are as before.
        """
        partial = self.folder / PARTIAL
        with self._keeping_others(step):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            # As `saver.save`, which takes half a millisecond more to look around for other files.
            definition, path = saver.saver_def, str(partial / f"{PREFIX}-{step}")
            try:
                feeds = {definition.filename_tensor_name: path, **(values or {})}
                session.run(definition.save_tensor_name, feeds)
            except tf.errors.OpError as error:
                raise cannot_write(self.path(step), reason_of(error)) from error
            (partial / POINTER).write_text(_pointer_text(step))

    def commit(self, step: int, *, protect: frozenset[int] = _NONE) -> None:
        """Wait for the disk to have what was written, move it into place, drop the oldest.

        Args:
            step: the checkpoint's.
            protect: steps whose checkpoints stay, whatever their age.

        Raises:
            CnnlabError: as `write`.
        """
        partial = self.folder / PARTIAL
        with self._keeping_others(step):
            # .data-* before .index, which says "complete"; then the pointer to them.
            written = [*sorted(partial.glob(f"{PREFIX}-*")), partial / POINTER]
            for path in written:
                sync(path)
            for path in written:
                path.replace(self.folder / path.name)
            partial.rmdir()
            sync(self.folder)
            self._drop_oldest(protect)

    @contextmanager
    def _keeping_others(self, step: int) -> Iterator[None]:
        try:
            with translate_os_errors(self.path(step)):
                yield
        except CnnlabError as error:
            shutil.rmtree(self.folder / PARTIAL, ignore_errors=True)  # a full disk needs the room
            kept = self.steps()
            state = f"the checkpoint of step {kept[-1]} is kept" if kept else "none was kept before"
            raise CnnlabError(f"{error}; {state}") from error

    def restore(self, saver: Any, session: Any, step: int, *, exactly: bool = False) -> None:
        """Load the variables of `step` into the session.

        Args:
            saver: a `tf.train.Saver` of the variables to load.
            session: takes them.
            step: the checkpoint's.
            exactly: whether a variable of the checkpoint that the graph does not have is an error;
                an inference graph does without the optimizer's.

        Raises:
            CnnlabError: there is no such checkpoint, it is damaged, or it is of another model.
        """
        with self._naming_damage(step):
            # Looked for first: a Saver loads a variable of another shape without a word.
            ours = signatures_of(saver._var_list)
            if differing := difference(self.signatures(step), ours, exactly=exactly):
                raise CnnlabError(f"checkpoint {self.path(step)} is of another model: {differing}")
            saver.restore(session, str(self.path(step)))

    def signatures(self, step: int) -> dict[str, Signature]:
        """Type and shape of each variable in the checkpoint of a step, by name.

        Raises:
            CnnlabError: there is no such checkpoint, or it is damaged.
        """
        if step not in self.steps():
            known = ", ".join(map(str, self.steps())) or "none"
            raise CnnlabError(f"{self.folder} has no checkpoint of step {step}; it has: {known}")
        with self._naming_damage(step):
            reader = tf.train.load_checkpoint(str(self.path(step)))
            types = reader.get_variable_to_dtype_map()
            shapes = reader.get_variable_to_shape_map()
            return {name: Signature(types[name].name, tuple(shapes[name])) for name in shapes}

    def read(self, step: int, names: Iterable[str]) -> dict[str, Any]:
        """The values of these variables of a checkpoint, name to array.

        Raises:
            CnnlabError: one of them does not have the checksum it was saved with.
        """
        with self._naming_damage(step):
            reader = tf.train.load_checkpoint(str(self.path(step)))
            return {name: reader.get_tensor(name) for name in names}

    def damage(self, step: int) -> str | None:
        """What is wrong with a checkpoint, or None if every variable of it can be read and has the
        checksum it was saved with."""
        name = ""
        try:
            reader = tf.train.load_checkpoint(str(self.path(step)))
            for name in sorted(reader.get_variable_to_shape_map()):
                reader.get_tensor(name)
        except self._read_errors() as error:
            return reason_of(error) + (f" in {name}" if name else "")
        return None

    def remove_all(self) -> None:
        """Delete every checkpoint of the folder, the pointer first."""
        (self.folder / POINTER).unlink(missing_ok=True)
        shutil.rmtree(self.folder / PARTIAL, ignore_errors=True)
        for step in self.steps():
            self.remove(step)
        for path in self.folder.glob(f"{PREFIX}-*{DAMAGED}"):
            path.unlink()

    def remove(self, step: int) -> None:
        """Delete the checkpoint of a step, its index first: without it the rest does not count."""
        self.path(step).with_name(f"{PREFIX}-{step}.index").unlink()
        for path in self._data_files(step):
            path.unlink()

    def remove_after(self, last_step: int) -> None:
        """Delete the checkpoints of later steps: the run goes back to `last_step`."""
        for step in self.steps():
            if step > last_step:
                self.remove(step)
        self._point_at_latest()

    def set_aside_after(self, last_step: int) -> None:
        """Rename the checkpoints of later steps: they are damaged, and to be made anew."""
        for step in self.steps():
            if step > last_step:
                index = self.path(step).with_name(f"{PREFIX}-{step}.index")
                for path in (index, *self._data_files(step)):
                    path.replace(path.with_name(path.name + DAMAGED))
        self._point_at_latest()

    @contextmanager
    def _naming_damage(self, step: int) -> Iterator[None]:
        try:
            yield
        except self._read_errors() as error:
            raise CnnlabError(
                f"checkpoint {self.path(step)} is damaged: {reason_of(error)}"
            ) from error

    def _point_at(self, step: int) -> None:
        write_atomically(self.folder / POINTER, _pointer_text(step))

    def _point_at_latest(self) -> None:
        if steps := self.steps():
            self._point_at(steps[-1])
        else:
            (self.folder / POINTER).unlink(missing_ok=True)

    def _drop_oldest(self, protect: frozenset[int]) -> None:
        if self.max_to_keep is not None:
            for step in self.steps()[: -self.max_to_keep]:
                is_kept = self.keep_every is not None and step % self.keep_every == 0
                if not is_kept and step not in protect:
                    self.remove(step)

    def _data_files(self, step: int) -> list[Path]:
        return [
            path
            for path in self.folder.glob(f"{PREFIX}-{step}.data-*")
            if not path.name.endswith(DAMAGED)
        ]

    @staticmethod
    def _read_errors() -> tuple[type[Exception], ...]:
        """What TensorFlow raises for files that are damaged, cut short or missing."""
        return (tf.errors.OpError, ValueError, RuntimeError, LookupError, TypeError, MemoryError)


def _pointer_text(step: int) -> str:
    """What tells `tf.train.latest_checkpoint` of a step."""
    name = f"{PREFIX}-{step}"
    return f'model_checkpoint_path: "{name}"\nall_model_checkpoint_paths: "{name}"\n'
