"""A run with hooks of the user's own: what they add to its graph, and what they log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cnnlab.base.errors import UsageError
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import tf
from cnnlab.base.user_code import user_code
from cnnlab.run.disk.saver import make_saver
from cnnlab.run.hook import Hook
from cnnlab.run.log import RunLog
from cnnlab.run.views import RunViews


class HookedRun(RunViews):
    """A session owner whose hooks may add to its graph and write to its log.

    Attributes:
        own_hooks: the user's hooks.
    """

    own_hooks: Sequence[Hook] = ()
    _log: RunLog | None = None  # while the steps are made

    def build_graph(self, first_step: int = 0) -> Any:
        """Return the `tf.Graph`; build it if there is none yet. No data files are needed.

        Args:
            first_step: the step at which the input stream starts.

        Raises:
            CnnlabError: a function of the user's fails, or returns what cannot be used.
        """
        is_new = self._train_graph is None
        graph = super().build_graph(first_step)
        if is_new and self.own_hooks:
            try:
                with building_in(graph), tf.device(self.device):
                    self._build_hooks()
            except BaseException:
                self.close()  # a graph without the hooks' operations is not that of the run
                raise
        return graph

    def log(self, name: str, value: float) -> None:
        """Write a figure of the current step to metrics.jsonl and to TensorBoard.

        A resumed run does not write again what was written before, so no step appears twice.

        Args:
            name: of the curve, for example "gradient_norm". Each name once a step.
            value: a finite number.

        Raises:
            UsageError: the name is taken, the value is not a finite number, or no steps are being
                made.
        """
        if self._log is None:
            raise UsageError("log() writes to the log of a run: call it in a hook, during train()")
        self._log.write_own(self.step, name, value)

    @contextmanager
    def _logging_to(self, log: RunLog) -> Iterator[None]:
        """Let `log` write to this log inside the block."""
        self._log = log
        try:
            yield
        finally:
            self._log = None

    def _build_hooks(self) -> None:
        """Let the hooks add their operations, and let the run start and save their variables."""
        before = {id(one) for one in (*tf.global_variables(), *tf.local_variables())}
        run: Any = self  # `Train` has all that hooks see of a run
        for hook in self.own_hooks:
            with user_code():
                hook.build(run)
        to_save = [one for one in tf.global_variables() if id(one) not in before]
        others = [one for one in tf.local_variables() if id(one) not in before]
        init_new = tf.variables_initializer([*to_save, *others], name="init_hooks")
        init_op = tf.group(self.train_graph.init_op, init_new)
        self._train_graph = self.train_graph._replace(init_op=init_op)
        if to_save:
            self._saver = make_saver(self._graph)
