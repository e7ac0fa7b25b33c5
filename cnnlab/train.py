"""Train: from options to a trained network, and the command `python -m cnnlab.train`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from cnnlab import cli, hparams
from cnnlab.config import Config
from cnnlab.data.datasets import Dataset
from cnnlab.data.training_data import Arrays
from cnnlab.device import describe_device
from cnnlab.errors import NonFiniteError
from cnnlab.hooks import Hook
from cnnlab.inference import EvaluationStoppedError
from cnnlab.interrupts import stopping_on_signals
from cnnlab.lock import locked
from cnnlab.loop import run_steps
from cnnlab.models import ModelFunction
from cnnlab.monitors import EarlyStopping
from cnnlab.network import Network
from cnnlab.options import as_dict, replace
from cnnlab.resolve import resolve_for_run
from cnnlab.run_directory import RunDirectory, describe_result
from cnnlab.standard_hooks import make_hooks
from cnnlab.summaries import RunLog
from cnnlab.tf1 import tf


class Train(Network):
    """A network, its data and its training run.

        with Train(dataset="mnist", model="mnist_cnn", batch_size=50) as train:
            train.train(save_dir="./save", steps=1000)
            print(train.evaluate()["accuracy"])

    Attributes (graph and what follows are made at their first use):
        config: the resolved options.
        graph: the `tf.Graph`; finalized once the session exists.
        session: the `tf.Session`, with initialized variables and the training set resident.
        step: int, steps made so far.
        images_ph: uint8 [batch, height, width, channels], range [0, 255]: feed it to compute
            `logits` and `loss`, or to make `train_op` train on images of your own.
        labels_ph: int64 [batch], range [0, num_classes); fed along with `images_ph`.
        steps_ph: int32 scalar, how many steps one run of `train_op` makes; 1 unless fed.
        logits: float32 [batch, num_classes], unscaled, in inference mode, of what is fed.
        loss: float32 scalar, mean cross-entropy in nats, in inference mode, of what is fed.
        train_op: makes training steps, each on the next batch of the input stream.
        saver: the `tf.train.Saver` of all variables.
        own_hooks: the hooks given.
    """

    def __init__(
        self,
        *,
        model: str | ModelFunction | None = None,
        data: Dataset | Arrays | None = None,
        hooks: Sequence[Hook] = (),
        **options: Any,
    ) -> None:
        """Check the options; nothing is built, read or written yet, and TensorFlow is not loaded.

        Args:
            model: a name of `cnnlab.models.MODELS`, or a function
                (images, num_classes, *, training) -> logits that makes its layers with
                `cnnlab.layers`: images float32 [batch, height, width, channels], logits float32
                [batch, num_classes].
            data: NumPy arrays ((train_images, train_labels), (test_images, test_labels)), images
                uint8 [n, height, width(, channels)], labels int [n]; the first pair may have a
                third, each example's weight in the loss, numbers >= 0 [n]; or a Dataset. Else
                `dataset` names it.
            hooks: your own, called after the standard ones.
            **options: as the flags of `python -m cnnlab.train`; see its `--help`.

        Raises:
            UsageError: an option is unknown or has a wrong value.
            DataError: the arrays are not what they should be.
        """
        super().__init__(model, data, options)
        self.own_hooks = tuple(hooks)
        self.stopping, self.save_requested = False, False
        self.stop_signal: int | None = None

    def train(self, save_dir: str | None = None, **options: Any) -> dict[str, Any]:
        """Train until the last step: a new run in save_dir, or what is left of the run it holds.

        Args:
            save_dir: the run directory; as given before, or ./save, unless given.
            **options: further options, over those given before.

        Returns:
            what result.json holds: step, finished, seconds, best (step and accuracy on validation
            data), and with the last step's weights (with restore_best, the best's) on the test
            set: accuracy, loss, top5_accuracy, n. Where early stopping ended the run,
            stopped_early is True. Where the run was stopped, finished is False and the figures of
            the test set are missing.

        Raises:
            UsageError: a wrong option, or save_dir holds a run with other options.
            CnnlabError: data, device or disk fail, or the loss is not finite.
        """
        self._given.update(options, **({} if save_dir is None else {"save_dir": save_dir}))
        self._set_config(resolve_for_run(self._given))
        self._given.pop("overwrite", None)  # asked for once, done once
        total_steps = self.config.total_steps(self.data.num_train)
        if self.config.depends_on_length:
            # The schedule keeps its shape when more steps are asked for later.
            length = self.config.schedule_length(self.data.num_train)
            self.config = replace(self.config, schedule_steps=length)
        run = RunDirectory(self.config)
        if (result := run.finished_result(total_steps)) is not None:
            self.say(f"{run.path} is finished, at step {result['step']}; --steps=N trains on")
            return result
        if self._session is None:
            self.data.split("train")  # missing files are told at once, and leave no folder behind
        with locked(run.path):
            result = self._run_to_end(run, total_steps)
            run.write_result(result)
        return result

    def _run_to_end(self, run: RunDirectory, total_steps: int) -> dict[str, Any]:
        """Go on from the latest checkpoint, and after a rollback again; evaluate at the end."""
        self.stopping, self.save_requested, self.stop_signal = False, False, None
        first_step = run.latest_step()
        if self.step != first_step:
            self.close()  # the input stream is built to start where training does
        self.build_graph(first_step)
        self.say(f"{self.config.model} on {self.config.dataset}: {self._description()}")
        is_restored = self._session is None and first_step > 0
        _ = self.session  # what can fail in it does so before anything is written
        run.begin(first_step, self.data.spec)
        if is_restored:
            run.checkpoints.restore(self.saver, self.session, first_step, exactly=True)
            self.say(f"going on from step {first_step} of {run.path}")
        secs_before, started = run.secs_so_far(first_step), time.perf_counter()

        def secs() -> float:
            return secs_before + time.perf_counter() - started

        # Signals are deferred from here on: until now there was nothing to save.
        signals = stopping_on_signals(self._stop_on_signal, self._request_save)
        with signals, hparams.run_session(self.config) as session:
            while not self._run_steps_logged(run, total_steps, secs()):
                pass
            result = self._result(run, total_steps)
            hparams.finish(session, result)
        result["seconds"] = round(secs(), 3)
        return result

    def _result(self, run: RunDirectory, total_steps: int) -> dict[str, Any]:
        """What the run has come to; of a finished one, with the figures of the test set."""
        result: dict[str, Any] = {"step": self.step, "finished": self.step >= total_steps}
        best = run.best_so_far(self.step)
        if self._early_stopping is not None and self._early_stopping.has_stopped:
            result.update(finished=True, stopped_early=True)
        if result["finished"]:
            if self.config.restore_best and best is not None:
                run.best.restore(self.saver, self.session, best["step"])
                result["weights"] = "best"
            try:
                is_told = lambda: self.stop_signal is not None  # noqa: E731
                result.update(self.evaluate("test", should_stop=is_told), split="test")
            except EvaluationStoppedError:
                result["finished"] = False
        result["best"] = best
        if self.config.on_nan == "rollback":
            result["rollbacks"] = int(self.session.run(self.train_graph.rollbacks))
        return result

    def _run_steps_logged(self, run: RunDirectory, total_steps: int, secs_before: float) -> bool:
        """Make the steps until the end, a stop (True) or a rollback (False)."""
        first_step = self.step
        self._early_stopping = self._make_early_stopping(run)
        try:
            with RunLog(run.path, self.config.resolved_log_dir, self.graph, first_step) as log:
                hooks = make_hooks(self, run, log, total_steps, secs_before, self._early_stopping)
                self._run_loop([*hooks, *self.own_hooks], total_steps)
        except NonFiniteError as error:
            self._roll_back(run, error)
            return False
        return True

    def _roll_back(self, run: RunDirectory, error: NonFiniteError) -> None:
        """Return to the last regular checkpoint, with a lower learning rate.

        It is as if the run had been killed and resumed there; only the count of rollbacks, which
        lowers the rate, is carried over. It is a variable, so checkpoints have it. A run killed
        after a rollback and before its next checkpoint meets the same values again, and does the
        same.

        Raises:
            NonFiniteError: rolling back is not asked for, or was done too often.
        """
        config = self.config
        if config.on_nan != "rollback":
            last_good = run.checkpoints.latest_intact()
            kept = f"step {last_good}" if last_good is not None else "none yet"
            raise NonFiniteError(
                f"{error}; last good checkpoint in {run.path}: {kept}; try a lower --learning_rate "
                "or --on_nan=rollback"
            ) from error
        rollbacks = int(self.session.run(self.train_graph.rollbacks)) + 1
        if rollbacks > config.max_rollbacks:
            raise NonFiniteError(
                f"{error}, after {config.max_rollbacks} rollbacks; try a lower --learning_rate"
            ) from error
        step = run.rollback_step()
        self.say(
            f"{error}; back to step {step}, at {config.rollback_factor**rollbacks:g} times the "
            f"learning rate (rollback {rollbacks} of at most {config.max_rollbacks})"
        )
        run.go_back_to(step)
        self.close()
        self.build_graph(step)
        if step:
            run.checkpoints.restore(self.saver, self.session, step, exactly=True)
        initializer = self.train_graph.rollbacks.initializer
        self.session.run(initializer, {initializer.inputs[1]: rollbacks})

    def stop(self, reason: str) -> None:
        """End the training loop after the session run under way; it then saves."""
        self.stopping = True
        self.say(f"stopping: {reason}")

    def say(self, text: str) -> None:
        """Print a line of progress on stderr, above the progress bar if there is one.

        Where stderr was a pipe whose reader has left, the run stops as on a signal.
        """
        try:
            tqdm.write(text, file=sys.stderr)
        except BrokenPipeError:
            cli.silence(sys.stderr)
            self.stopping, self.stop_signal = True, signal.SIGPIPE

    def _make_early_stopping(self, run: RunDirectory) -> EarlyStopping | None:
        if self.config.early_stopping is None:
            return None
        return EarlyStopping(self.config.early_stopping, run.evaluations_so_far(self.step))

    def _run_loop(self, hooks: list[Hook], total_steps: int) -> None:
        """Make the steps, from where the session stands."""
        for hook in hooks:
            hook.begin(self)
        try:
            run_steps(self, hooks, total_steps)
        finally:
            for hook in hooks:
                hook.end(self)

    def _stop_on_signal(self, number: int, name: str) -> None:
        self.stopping, self.stop_signal = True, number
        # Not by say(): the signal may have come in the middle of another line.
        with contextlib.suppress(OSError):
            os.write(2, f"stopping: {name}; saving (once more to leave at once)\n".encode())

    def _request_save(self) -> None:
        self.save_requested = True

    def _description(self) -> str:
        """Parameters, graph size, device, oneDNN."""
        with self.graph.as_default():
            parameters = sum(int(np.prod(v.shape)) for v in tf.trainable_variables())
        graph_mb = len(self.graph.as_graph_def().SerializeToString()) / 1e6
        device = describe_device(self.config, self.device)
        return f"{parameters:,} parameters, graph {graph_mb:.2f} MB; {device}"


def main(words: Sequence[str] | None = None) -> None:
    """The command `python -m cnnlab.train`."""
    cli.run(
        _train_command,
        Config,
        words,
        usage="python -m cnnlab.train [--config=RECIPE] [--name=value ...]",
        about="Train a network; in a save_dir that holds a run, go on with it.",
        resolve=resolve_for_run,
    )


def _train_command(config: Config, _words: tuple[str, ...]) -> dict[str, Any]:
    with Train(**as_dict(config)) as train:
        result = train.train()
        if not config.json:
            cli.say(describe_result(result, config))
        if train.stop_signal is not None:
            raise cli.Exit(128 + train.stop_signal, result)
    return result


if __name__ == "__main__":
    main()
