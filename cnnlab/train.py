"""Training: the class Train, and the command `python -m cnnlab.train`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from cnnlab.base.errors import NonFiniteError
from cnnlab.base.machine import provenance
from cnnlab.base.printing import notes_silenced
from cnnlab.config import cli
from cnnlab.config.config import Config
from cnnlab.config.options import as_dict, full_names, replace
from cnnlab.data.arrays import Pairs
from cnnlab.data.datasets import Dataset
from cnnlab.models import ModelFunction
from cnnlab.run.cluster.launcher import end_with_launcher
from cnnlab.run.cluster.shared_run import SharedRun
from cnnlab.run.control import Control
from cnnlab.run.disk.config_file import config_text, resolve_for_run
from cnnlab.run.disk.kept_code import keep_code
from cnnlab.run.disk.log_folder import check_log_dir
from cnnlab.run.disk.run_directory import RunDirectory
from cnnlab.run.evaluating import EarlyStopping
from cnnlab.run.hook import Hook
from cnnlab.run.inference import EvaluationStoppedError
from cnnlab.run.loop import run_steps
from cnnlab.run.metrics.shown import finished_in_words, in_words
from cnnlab.run.rollback import roll_back
from cnnlab.run.standard_hooks import make_hooks
from cnnlab.run.tensorboard import hparams


class Train(SharedRun):
    """A network, its data and its training run.

        with Train(dataset="mnist", model="mnist_cnn", batch_size=50) as train:
            train.train(save_dir="./save", steps=1000)
            print(train.evaluate()["accuracy"])

    Attributes (each but config and own_hooks is made at its first use):
        config: the resolved options.
        own_hooks: the hooks passed to the constructor.
        graph: the `tf.Graph`; finalized once the session exists.
        session: the `tf.Session`, with initialized variables and the training set resident.
        step: int, number of steps made so far.
        images_ph: uint8 [batch, height, width, channels], range [0, 255]. Feed it to compute
            `logits` and `loss`, or to run `train_op` on your own images.
        labels_ph: int64 [batch], range [0, num_classes). Feed it together with `images_ph`. It is
            float32 [batch, k] if the labels are no classes, and `images_ph` is float32 if the
            images have a range of their own; see `dataset_from_arrays`.
        steps_ph: int32 scalar, number of steps that one run of `train_op` makes; default: 1.
        logits: float32 [batch, num_classes], unscaled, of the fed images in inference mode.
        loss: float32 scalar, mean cross-entropy of the fed images in inference mode, in nats.
        train_op: makes training steps, each on the next batch of the input stream.
        saver: the `tf.train.Saver` of all variables.
    """

    def __init__(
        self,
        *,
        model: str | ModelFunction | None = None,
        data: Dataset | Pairs | None = None,
        hooks: Sequence[Hook] = (),
        **options: Any,
    ) -> None:
        """Check the options. This builds and writes nothing, and does not load TensorFlow.

        Of data it reads nothing but the list of your own pictures, if `dataset` names them.

        Args:
            model: a name of `cnnlab.models.MODELS`, or a function or another callable object
                (images, num_classes, *, training) -> logits. It makes its layers with
                `cnnlab.layers`. Its images are float32 [batch, height, width, channels], its
                logits float32 [batch, num_classes].
            data: a Dataset, or NumPy arrays ((train_images, train_labels), (test_images,
                test_labels)): images uint8 [n, height, width(, channels)], labels int [n]. Three
                pairs are train, validation, test. The first pair may have a third array, the
                weight of each example in the loss, numbers >= 0 [n]. `dataset_from_arrays` has
                the other forms of images and labels, and what may stand for a pair. Default: the
                data set that the option `dataset` names.
            hooks: your own hooks, called after the standard ones.
            **options: as the flags of `python -m cnnlab.train`; see its `--help`. Functions of
                your own may be the values of loss, (labels, logits) -> float32 [batch]; optimizer,
                (learning_rate) -> `tf.train.Optimizer`; and schedule, (step) -> learning rate. So
                may the values of metrics, {name: (labels, logits) -> [batch] or scalar}, and
                entries of augment, (images, key) -> images. See docs/guide/own_functions.md.

        Raises:
            UsageError: an option is unknown or has a wrong value.
            DataError: an array has a wrong type, shape or range.
        """
        super().__init__(model, data, full_names(options, Config))
        self.own_hooks = tuple(hooks)
        self.control = Control()

    def train(self, save_dir: str | None = None, **options: Any) -> dict[str, Any]:
        """Train until the last step: start a run in save_dir, or resume the run that is there.

        Args:
            save_dir: the run directory; default: the one given before, or ./save.
            **options: further options; they override those given before.

        Returns:
            the content of result.json. It always has step, finished, seconds, and best (step and
            accuracy of the best evaluation on the validation set). A finished run also has the
            figures on the test set: accuracy, loss, top5_accuracy, n. They belong to the weights
            of the last step, or with restore_best to the best weights. stopped_early is True if
            early stopping ended the run.

        Raises:
            UsageError: an option is wrong, or save_dir holds a run with other options, other data
                or another model.
            CnnlabError: data, device or disk fail, or the loss is not finite.
        """
        total_steps = self._resolve(save_dir, options)
        with notes_silenced(self.config.quiet), self._with_workers():
            return self._train_to(total_steps)

    def _train_to(self, total_steps: int) -> dict[str, Any]:
        """Train until step `total_steps`; see `train`."""
        directory = self._run_directory()
        if (result := directory.finished_result(total_steps)) is not None:
            self.say(f"{directory.path} {finished_in_words(result)}")
            return result
        self._as_chief(partial(check_log_dir, self.config))
        if self._session is None:
            self.data.split("train")  # reports missing files before any folder is made
        with self._folders_locked(directory):
            started = self._restore_or_start(directory, total_steps)
            # Before this line there is nothing to save, so a signal ends the process at once.
            row_written = hparams.run_session(self.config) if self.is_chief else nullcontext()
            with self.control.deferring_signals(), row_written as row:
                self._make_all_steps(directory, total_steps, started)
                result = self._finish(directory, total_steps)
                if row is not None:
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
        folder = {} if save_dir is None else {"save_dir": save_dir}
        given = self._own_code.take(full_names({**options, **folder}, Config))
        self._given.update(given)
        self._use_run_options()
        self._share_batches()
        self._given.pop("overwrite", None)  # a later call of train() must not delete this run
        if self.config.depends_on_length:
            # Written to config.yaml: the schedule keeps its shape if --steps is raised later.
            length = self.data.schedule_length(self.config)
            self.config = replace(self.config, schedule_steps=length)
        return self.config.total_steps(self.data.epoch_size)

    def _restore_or_start(self, directory: RunDirectory, total_steps: int) -> float:
        """Bring the session to the newest checkpoint, or to step 0.

        Returns:
            the start of the run in `time.perf_counter` seconds, as if this process had made the
            whole run.
        """
        self.control = Control()
        first_step = directory.latest_step()
        if self.step != first_step:
            self.close()  # the graph's input stream must start at first_step
        self.build_graph(first_step)
        self.say(f"{self.config.model} on {self.config.dataset}: {self.describe()}")
        for line in (self.data.spec.describe_heads(), self.train_graph.inference.unreached):
            if line:
                self.say(line)
        if (balance := self.data.balance) is not None:
            self.say(balance.describe())
        needs_restoring = self._session is None and first_step > 0
        _ = self.session  # made here, so that a failure comes before anything is written
        facts = self._facts(directory.path) if self.is_chief else ""
        directory.begin(first_step, total_steps, facts)
        if needs_restoring:
            directory.checkpoints.restore(self.saver, self.session, first_step, exactly=True)
            self.say(f"resuming from step {first_step} of {directory.path}")
        self._share_state()
        return time.perf_counter() - directory.secs_so_far(first_step)

    def _facts(self, path: Path) -> str:
        """Return the content of config.yaml, and keep the user's code in the run directory."""
        code = keep_code(path, self._own_functions)
        if (balance := self.data.balance) is not None:
            code["balance"] = balance.facts()
        return config_text(self.config, provenance(), self.data.spec, self._fingerprints, code)

    def _make_all_steps(self, directory: RunDirectory, total_steps: int, started: float) -> None:
        """Make the steps until the last one or a stop; continue after each rollback."""
        while True:
            try:
                self._make_steps(directory, total_steps, started)
            except NonFiniteError as error:
                roll_back(self, directory, error)
            else:
                return

    def _make_steps(self, directory: RunDirectory, total_steps: int, started: float) -> None:
        """Make the steps from the session's step on, with all hooks."""
        self._early_stopping = None
        if self.config.early_stopping is not None:
            evaluations = directory.evaluations_so_far(self.step)
            self._early_stopping = EarlyStopping(self.config.early_stopping, evaluations)
        with self._open_log(directory) as log:
            hooks = make_hooks(
                self,
                directory,
                log,
                total_steps,
                started,
                self._early_stopping,
                self.own_hooks,
            )
            all_hooks = [*hooks, *self.own_hooks]
            with self._logging_to(log), self._begun(all_hooks):
                run_steps(self, all_hooks, total_steps)

    @contextmanager
    def _begun(self, hooks: Sequence[Hook]) -> Iterator[None]:
        """Begin all hooks, and end them when the block ends or fails."""
        for hook in hooks:
            hook.begin(self)
        try:
            yield
        finally:
            for hook in hooks:
                hook.end(self)

    def _finish(self, directory: RunDirectory, total_steps: int) -> dict[str, Any]:
        """Return the result; for a finished run it has the figures on the test set."""
        result: dict[str, Any] = {"step": self.step, "finished": self.step >= total_steps}
        best = directory.best_so_far(self.step)
        if self._early_stopping is not None and self._early_stopping.has_stopped:
            result.update(finished=True, stopped_early=True)
        if result["finished"]:
            if self.config.restore_best and best is not None:
                directory.best.restore(self.saver, self.session, best["step"])
                result["weights"] = "best"
            try:
                figures = self.evaluate("test", should_stop=lambda: self.control.is_interrupted)
                result.update(figures, split="test")
            except EvaluationStoppedError:
                result["finished"] = False
        result["best"] = best
        if self.config.on_nan == "rollback":
            result["rollbacks"] = int(self.session.run(self.train_graph.rollbacks))
        return result


def main(words: Sequence[str] | None = None) -> None:
    """Run the command `python -m cnnlab.train`."""
    end_with_launcher()
    cli.run(
        _train_command,
        Config,
        words,
        usage="python -m cnnlab.train [--config=RECIPE] [--name=value ...]",
        about="Train a network, or resume the run that save_dir holds.",
        resolve=resolve_for_run,
    )


def describe_result(result: Mapping[str, Any], config: Config) -> str:
    """Return one sentence about the result of a run."""
    if not result["finished"]:
        return f"stopped at step {result['step']}, saved; the same command resumes the run"
    return (
        f"step {result['step']}: test {in_words(result, config.metrics)} on {result['n']} images, "
        f"{result['seconds']:.0f} s; checkpoints in {config.save_dir}; "
        f"tensorboard --logdir={config.resolved_log_dir}"
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
