"""TensorBoard's event files, written synchronously.

TensorFlow's FileWriter passes events to a thread. It reports a failed write, for example on a full
disk, late or never. Two writers opened within one second write to the same file. Here, each write
is done or has raised an error when the call returns. If a kill truncates a file, its complete
events can still be read.
"""

from __future__ import annotations

import platform
import re
import time
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError
from cnnlab.base.files import cannot_write
from cnnlab.base.tf1 import reason_of, tf

_FILE_NAME = re.compile(r"events\.out\.tfevents\.(\d+)\.")


class EventWriter:
    """Appends events to a new file in a folder.

    Attributes:
        path: the file.
    """

    def __init__(self, folder: Path, suffix: str = "") -> None:
        """Open a new file that TensorBoard reads after the other files of the folder.

        Args:
            folder: is made if it does not exist.
            suffix: the end of the file's name.

        Raises:
            CnnlabError: the folder cannot be made or written.
        """
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # TensorBoard reads the files in the order of their names, which contain a time in
            # seconds.
            stamps = [int(m[1]) for path in folder.iterdir() if (m := _FILE_NAME.match(path.name))]
            stamp = max([int(time.time()), *(stamp + 1 for stamp in stamps)])
            self.path = folder / f"events.out.tfevents.{stamp:010d}.{platform.node()}{suffix}"
            self._writer = tf.python_io.TFRecordWriter(str(self.path))
        except (OSError, tf.errors.OpError) as error:
            raise self._failure(error) from error
        self.add(tf.Event(wall_time=time.time(), file_version="brain.Event:2"))

    def add(self, event: Any) -> None:
        """Append a `tf.Event`.

        Raises:
            CnnlabError: the file cannot be written.
        """
        try:
            self._writer.write(event.SerializeToString())
        except tf.errors.OpError as error:
            raise self._failure(error) from error

    def add_summary(self, summary: Any, step: int) -> None:
        """Append the summary of a step, a `tf.Summary` or its serialized bytes."""
        if isinstance(summary, bytes):
            summary = tf.Summary.FromString(summary)
        self.add(tf.Event(wall_time=time.time(), step=step, summary=summary))

    def add_restart(self, step: int) -> None:
        """Make TensorBoard ignore what earlier files have from `step` on."""
        start = tf.SessionLog(status=tf.SessionLog.START)
        self.add(tf.Event(wall_time=time.time(), step=step, session_log=start))

    def add_graph(self, definition: Any) -> None:
        """Append a `tf.GraphDef`."""
        self.add(tf.Event(wall_time=time.time(), graph_def=definition.SerializeToString()))

    def add_run_metadata(self, metadata: Any, tag: str, step: int) -> None:
        """Append the `tf.RunMetadata` of a session run; TensorBoard lists it under the tag."""
        event = tf.Event(wall_time=time.time(), step=step)
        event.tagged_run_metadata.tag = tag
        event.tagged_run_metadata.run_metadata = metadata.SerializeToString()
        self.add(event)

    def flush(self) -> None:
        """Pass everything written so far to the operating system.

        Raises:
            CnnlabError: the file cannot be written.
        """
        try:
            self._writer.flush()
        except tf.errors.OpError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Flush and close the file.

        Raises:
            CnnlabError: the file cannot be written.
        """
        try:
            self._writer.close()
        except tf.errors.OpError as error:
            raise self._failure(error) from error

    def _failure(self, error: Any) -> CnnlabError:
        reason = getattr(error, "strerror", None) or reason_of(error)
        return cannot_write(self._folder, reason)
