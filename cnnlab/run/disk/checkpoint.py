"""Checkpoints, each complete or absent.

SAVE_DIR/
    model.ckpt-2000.data-00000-of-00001   the variables, in TensorFlow's format
    model.ckpt-2000.index                 their names; moved here last, so it means "complete"
    model.ckpt-3000.*.damaged             a checkpoint with a wrong checksum, not used any more
    checkpoint                            names the latest one, for tf.train.latest_checkpoint
    best/                                 the same files for the step of the best evaluation
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import cannot_write, sync, translate_os_errors, write_atomically
from cnnlab.base.printing import print_lines
from cnnlab.base.tf1 import reason_of, tf
from cnnlab.run.disk.saver import pointer_text
from cnnlab.run.disk.signatures import Signature, difference, signatures_of

PREFIX = "model.ckpt"
BEST_DIR = "best"
POINTER = "checkpoint"
PARTIAL = ".saving"  # the folder of a checkpoint that is not complete yet
DAMAGED = ".damaged"
MAX_STEP = 2**63 - 1  # the largest value of the int64 variable global_step
_NONE: frozenset[int] = frozenset()


class Checkpoints:
    """The checkpoints of one folder."""

    def __init__(
        self, folder: Path, max_to_keep: int | None = None, keep_every: int | None = None
    ) -> None:
        """Check the folder's name; create nothing.

        Args:
            folder: is made by the first save.
            max_to_keep: number of the newest checkpoints to keep; None: keep all.
            keep_every: keep all checkpoints whose step is a multiple of this number.

        Raises:
            UsageError: TensorFlow could write to a folder with this name but not read from it.
        """
        if found := re.search(r"[\[\\]", str(folder)):
            sign = found[0]
            raise UsageError(f"{folder}: TensorFlow cannot read checkpoints in a path with {sign}")
        self.folder = folder
        self.max_to_keep = max_to_keep
        self.keep_every = keep_every

    def steps(self) -> list[int]:
        """Return the steps that have a checkpoint, ascending."""
        pattern = re.compile(re.escape(PREFIX) + r"-(0|[1-9][0-9]{0,18})\.index")
        matches = (pattern.fullmatch(path.name) for path in self.folder.glob(f"{PREFIX}-*.index"))
        return sorted(step for m in matches if m and (step := int(m[1])) <= MAX_STEP)

    def path(self, step: int) -> Path:
        """Return a checkpoint's path as a Saver uses it: the common prefix of its files."""
        return self.folder / f"{PREFIX}-{step}"

    def latest_intact(self) -> int | None:
        """Return the step of the newest undamaged checkpoint, or None if there are no checkpoints.

        Raises:
            CnnlabError: there are checkpoints, but every one is damaged.
        """
        steps = self.steps()
        for step in reversed(steps):
            if (damage := self.damage(step)) is None:
                return step
            if step not in self.steps():  # a training run has deleted it, and has newer ones
                return self.latest_intact()
            print_lines(
                f"warning: checkpoint {self.path(step)} is damaged ({damage}), not used",
                to_stderr=True,
            )
        if steps:
            raise CnnlabError(f"every checkpoint in {self.folder} is damaged")
        return None

    def save(self, saver: Any, session: Any, step: int) -> None:
        """Save the checkpoint of a step: `write` it, then `commit` it."""
        self.write(saver, session, step)
        self.commit(step)

    def write(self, saver: Any, session: Any, step: int, values: Any = None) -> None:
        """Write the checkpoint of a step into the folder PARTIAL, from which nothing is restored.

        Args:
            saver: a `tf.train.Saver`.
            session: holds the variables.
            step: the checkpoint's step.
            values: the value of each of `saved_tensors`; default: what the session holds now.

        Raises:
            CnnlabError: the disk is full or the folder cannot be written; the others stay intact.
        """
        partial = self.folder / PARTIAL
        with self._keeping_others(step):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            # This is what `saver.save` does, without its slow search for other files.
            definition, path = saver.saver_def, str(partial / f"{PREFIX}-{step}")
            try:
                feeds = {definition.filename_tensor_name: path, **(values or {})}
                session.run(definition.save_tensor_name, feeds)
            except tf.errors.OpError as error:
                raise cannot_write(self.path(step), reason_of(error)) from error
            (partial / POINTER).write_text(pointer_text(f"{PREFIX}-{step}"))

    def commit(self, step: int, *, protect: frozenset[int] = _NONE) -> None:
        """Wait until the written files are on the disk, move them into place, remove the oldest.

        Args:
            step: the checkpoint's step.
            protect: steps whose checkpoints are kept, however old they are.

        Raises:
            CnnlabError: as `write`.
        """
        partial = self.folder / PARTIAL
        with self._keeping_others(step):
            # In this order: .data-*, then .index, which means "complete", then the pointer to them.
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
        """Remove a partial checkpoint if the block fails; the error names the newest one left."""
        try:
            with translate_os_errors(self.path(step)):
                yield
        except CnnlabError as error:
            shutil.rmtree(self.folder / PARTIAL, ignore_errors=True)  # frees room on a full disk
            kept = self.steps()
            state = f"the checkpoint of step {kept[-1]} is kept" if kept else "none was kept before"
            raise CnnlabError(f"{error}; {state}") from error

    def restore(self, saver: Any, session: Any, step: int, *, exactly: bool = False) -> None:
        """Load the variables of a checkpoint into the session.

        Args:
            saver: a `tf.train.Saver` of the variables to load.
            session: receives the values.
            step: the checkpoint's step.
            exactly: whether a variable that only the checkpoint has is an error. An inference graph
                has no variables of the optimizer, so for it this is False.

        Raises:
            CnnlabError: the checkpoint does not exist, is damaged, or is of another model.
        """
        with self._naming_damage(step):
            # Compared first, because a Saver loads a variable of another shape without an error.
            ours = signatures_of(saver._var_list)
            if differing := difference(self.signatures(step), ours, exactly=exactly):
                raise CnnlabError(f"checkpoint {self.path(step)} is of another model: {differing}")
            saver.restore(session, str(self.path(step)))

    def signatures(self, step: int) -> dict[str, Signature]:
        """Return type and shape of each variable in a checkpoint, by name.

        Raises:
            CnnlabError: the checkpoint does not exist, or it is damaged.
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
        """Return the values of these variables of a checkpoint, name to array.

        Raises:
            CnnlabError: the checksum of a variable is wrong.
        """
        with self._naming_damage(step):
            reader = tf.train.load_checkpoint(str(self.path(step)))
            return {name: reader.get_tensor(name) for name in names}

    def damage(self, step: int) -> str | None:
        """Read all variables, which compares checksums; return what is wrong, or None."""
        name = ""
        try:
            reader = tf.train.load_checkpoint(str(self.path(step)))
            for name in sorted(reader.get_variable_to_shape_map()):
                reader.get_tensor(name)
        except self.read_errors() as error:
            return reason_of(error) + (f" in {name}" if name else "")
        return None

    def remove_all(self) -> None:
        """Delete the pointer, then every checkpoint of the folder."""
        (self.folder / POINTER).unlink(missing_ok=True)
        for step in self.steps():
            self.remove(step)
        self.remove_orphans()
        for path in self.folder.glob(f"{PREFIX}-*{DAMAGED}"):
            path.unlink()

    def remove_folder(self) -> None:
        """Delete every checkpoint, and the folder if it is empty then; of a link, only the link."""
        if self.folder.is_symlink():
            self.folder.unlink()
            return
        self.remove_all()
        with suppress(OSError):  # it is not empty, or there is none
            self.folder.rmdir()

    def remove(self, step: int) -> None:
        """Delete the checkpoint of a step, its index first: without it, it is no checkpoint."""
        self.path(step).with_name(f"{PREFIX}-{step}.index").unlink()
        for path in self._data_files(step):
            path.unlink()

    def remove_orphans(self) -> None:
        """Delete what a killed process has left: data without an index, an unfinished checkpoint.

        The process must hold the run's lock.
        """
        shutil.rmtree(self.folder / PARTIAL, ignore_errors=True)
        pattern = re.compile(re.escape(PREFIX) + r"-([0-9]{1,19})\.data-[0-9]{5}-of-[0-9]{5}")
        for path in self.folder.glob(f"{PREFIX}-*.data-*"):
            found = pattern.fullmatch(path.name)
            if found and not path.with_name(f"{PREFIX}-{found[1]}.index").exists():
                path.unlink()

    def remove_after(self, last_step: int) -> None:
        """Delete the checkpoints of steps after `last_step`, to which the run goes back."""
        for step in self.steps():
            if step > last_step:
                self.remove(step)
        self._point_at_latest()

    def set_aside_after(self, last_step: int) -> None:
        """Rename the checkpoints of steps after `last_step`, because they are damaged."""
        for step in self.steps():
            if step > last_step:
                index = self.path(step).with_name(f"{PREFIX}-{step}.index")
                for path in (index, *self._data_files(step)):
                    path.replace(path.with_name(path.name + DAMAGED))
        self._point_at_latest()

    @contextmanager
    def _naming_damage(self, step: int) -> Iterator[None]:
        """Turn TensorFlow's errors about a damaged file into a CnnlabError that names it."""
        try:
            yield
        except self.read_errors() as error:
            problem = f"is damaged: {reason_of(error)}"
            if step not in self.steps():
                problem = "was deleted while it was read; a training run keeps the newest only"
            raise CnnlabError(f"checkpoint {self.path(step)} {problem}") from error

    def _point_at(self, step: int) -> None:
        write_atomically(self.folder / POINTER, pointer_text(f"{PREFIX}-{step}"))

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
    def read_errors() -> tuple[type[Exception], ...]:
        """Return what TensorFlow raises for files that are damaged, truncated or missing."""
        return (tf.errors.OpError, ValueError, RuntimeError, LookupError, TypeError, MemoryError)
