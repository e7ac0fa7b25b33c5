"""Train: from options to a trained network, and the command `python -m cnnlab.train`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cnnlab.base.errors import NonFiniteError
from cnnlab.config import cli
from cnnlab.config.config import Config
from cnnlab.config.options import as_dict, replace
from cnnlab.data.datasets import Dataset
from cnnlab.data.training_data import Arrays
from cnnlab.models import ModelFunction
from cnnlab.run.control import Control
from cnnlab.run.disk.config_file import resolve_for_run
from cnnlab.run.disk.lock import locked
from cnnlab.run.disk.run_directory import RunDirectory, describe_result
from cnnlab.run.evaluating import EarlyStopping
from cnnlab.run.hook import Hook
from cnnlab.run.inference import EvaluationStoppedError
from cnnlab.run.log import RunLog
from cnnlab.run.loop import run_steps
from cnnlab.run.rollback import roll_back
from cnnlab.run.session import SessionOwner
from cnnlab.run.standard_hooks import make_hooks
from cnnlab.run.tensorboard import hparams


class Train(SessionOwner):
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
        self.control = Control()

    def train(self, save_dir: str | None = None, **options: Any) -> dict[str, Any]:
        """Train until the last step: a new run in save_dir, or the rest of the run that it holds.

        Args:
            save_dir: the run directory; default: the one given before, or ./save.
            **options: further options, over those given before.

        Returns:
            the content of result.json. Always: step, finished, seconds, and best (step and
            accuracy of the best evaluation on validation data). Of a finished run also the figures
            on the test set: accuracy, loss, top5_accuracy, n. They are those of the last step's
            weights, or with restore_best of the best ones. stopped_early is True where early
            stopping ended the run.

        Raises:
            UsageError: a wrong option, or save_dir holds a run with other options.
            CnnlabError: data, device or disk fail, or the loss is not finite.
        """
        total_steps = self._resolve(save_dir, options)
        directory = RunDirectory(self.config)
        if (result := directory.finished_result(total_steps)) is not None:
            self.say(f"{directory.path} is finished, at step {result['step']}; --steps=N trains on")
            return result
        if self._session is None:
            self.data.split("train")  # reports missing files before any folder is made
        with locked(directory.path):
            started = self._restore_or_start(directory)
            # From here on signals are deferred: until now there was nothing to save.
            with self.control.deferring_signals(), hparams.run_session(self.config) as row:
                self._make_all_steps(directory, total_steps, started)
                result = self._finish(directory, total_steps)
                hparams.finish(row, result)
            result["seconds"] = round(time.perf_counter() - started, 3)
            directory.write_result(result)
        return result

    def stop(self, reason: str) -> None:
        """End the training loop after the current session run; the run is then saved."""
        self.control.stop(reason)

    def say(self, text: str) -> None:
        """Print a line of progress on stderr, above the progress bar if there is one."""
        self.control.say(text)

    def _resolve(self, save_dir: str | None, options: dict[str, Any]) -> int:
        """Resolve the options of this run; return the number of its last step."""
        self._given.update(options, **({} if save_dir is None else {"save_dir": save_dir}))
        self._set_config(resolve_for_run(self._given))
        self._given.pop("overwrite", None)  # asked for once, done once
        if self.config.depends_on_length:
            # The schedule keeps its shape when more steps are asked for later.
            length = self.config.schedule_length(self.data.num_train)
            self.config = replace(self.config, schedule_steps=length)
        return self.config.total_steps(self.data.num_train)

    def _restore_or_start(self, directory: RunDirectory) -> float:
        """Make the session stand at the newest checkpoint, or at step 0.

        Returns:
            when the run would have begun, in `time.perf_counter` seconds, if this process had made
            all of it.
        """
        self.control = Control()
        first_step = directory.latest_step()
        if self.step != first_step:
            self.close()  # the input stream is built to start where training does
        self.build_graph(first_step)
        self.say(f"{self.config.model} on {self.config.dataset}: {self.describe()}")
        needs_restoring = self._session is None and first_step > 0
        _ = self.session  # whatever can fail here fails before anything is written
        directory.begin(first_step, self.data.spec)
        if needs_restoring:
            directory.checkpoints.restore(self.saver, self.session, first_step, exactly=True)
            self.say(f"resuming from step {first_step} of {directory.path}")
        return time.perf_counter() - directory.secs_so_far(first_step)

    def _make_all_steps(self, directory: RunDirectory, total_steps: int, started: float) -> None:
        """Make the steps until the end or a stop; after a rollback, go on from its checkpoint."""
        while True:
            try:
                self._make_steps(directory, total_steps, started)
            except NonFiniteError as error:
                roll_back(self, directory, error)
            else:
                return

    def _make_steps(self, directory: RunDirectory, total_steps: int, started: float) -> None:
        """Make the steps from where the session stands, with all hooks."""
        self._early_stopping = None
        if self.config.early_stopping is not None:
            evaluations = directory.evaluations_so_far(self.step)
            self._early_stopping = EarlyStopping(self.config.early_stopping, evaluations)
        log_dir = self.config.resolved_log_dir
        with RunLog(directory.path, log_dir, self.graph, self.step) as log:
            hooks = make_hooks(
                self,
                directory,
                log,
                total_steps,
                started,
                self._early_stopping,
                has_followers=bool(self.own_hooks),
            )
            with self._begun([*hooks, *self.own_hooks]) as all_hooks:
                run_steps(self, all_hooks, total_steps)

    @contextmanager
    def _begun(self, hooks: Sequence[Hook]) -> Iterator[Sequence[Hook]]:
        """Begin all hooks, and end them when the block ends or fails."""
        for hook in hooks:
            hook.begin(self)
        try:
            yield hooks
        finally:
            for hook in hooks:
                hook.end(self)

    def _finish(self, directory: RunDirectory, total_steps: int) -> dict[str, Any]:
        """Return the result; of a finished run, with the figures on the test set."""
        result: dict[str, Any] = {"step": self.step, "finished": self.step >= total_steps}
        best = directory.best_so_far(self.step)
        if self._early_stopping is not None and self._early_stopping.has_stopped:
            result.update(finished=True, stopped_early=True)
        if result["finished"]:
            if self.config.restore_best and best is not None:
                directory.best.restore(self.saver, self.session, best["step"])
                result["weights"] = "best"
            try:
                is_interrupted = lambda: self.control.is_interrupted  # noqa: E731
                result.update(self.evaluate("test", should_stop=is_interrupted), split="test")
            except EvaluationStoppedError:
                result["finished"] = False
        result["best"] = best
        if self.config.on_nan == "rollback":
            result["rollbacks"] = int(self.session.run(self.train_graph.rollbacks))
        return result


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
        if train.control.stop_signal is not None:
            raise cli.Exit(128 + train.control.stop_signal, result)
    return result


if __name__ == "__main__":
    main()
