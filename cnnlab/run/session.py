"""The session owner: a configured graph, its session and its data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError
from cnnlab.base.garbage import gc_paused
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import of_this_process, open_session, tf
from cnnlab.config.config import Config
from cnnlab.config.resolve import graph_options_differ, resolve
from cnnlab.config.rules import check_eval_part
from cnnlab.data.arrays import Pair, Pairs, check_fitting_images, dataset_of
from cnnlab.data.augment import scaling_of
from cnnlab.data.datasets import Dataset, Split
from cnnlab.data.folders.picture_set import targets_by_name
from cnnlab.data.target_options import fitted_to_targets
from cnnlab.data.training_data import TrainingData
from cnnlab.graph.parts import Parts
from cnnlab.graph.training_graph import TrainGraph, build_train_graph
from cnnlab.graph.update.reduction import ALONE, Share
from cnnlab.models import ModelFunction
from cnnlab.run.device import choose_device, describe_device, session_config, set_intra_op_threads
from cnnlab.run.disk.config_file import check_fingerprints, resolve_for_run
from cnnlab.run.disk.fingerprint import fingerprints_of
from cnnlab.run.disk.run_directory import RunDirectory
from cnnlab.run.disk.saver import make_saver
from cnnlab.run.disk.warm_start import start_values, with_init_step
from cnnlab.run.inference import Complete, GraphSession, OnBatch
from cnnlab.run.own_code import OwnCode


class SessionOwner:
    """A configured graph, its session and its data, each made at its first use.

    `cnnlab.Train` adds the training, and describes the public attributes.
    """

    config: Config
    data: TrainingData
    device: str
    # A run of several workers replaces these; see `cnnlab.run.cluster.shared_run`.
    _share: Share = ALONE
    _complete: Complete | None = None

    def __init__(
        self,
        model: str | ModelFunction | None,
        data: Dataset | Pairs | None,
        options: dict[str, Any],
    ) -> None:
        """Check the options; see `Train`."""
        self._own_code = OwnCode()
        self._given = self._own_code.take(options if model is None else {**options, "model": model})
        self._arrays = None if data is None else dataset_of(data)
        if self._arrays is not None:
            self._given["dataset"] = self._arrays.spec.name
        self._graph: Any = None
        self._train_graph: TrainGraph | None = None
        self._session: Any = None
        self._saver: Any = None
        self._graph_session: GraphSession | None = None
        self._first_step = 0
        self._set_config(resolve(self._given))

    def build_graph(self, first_step: int = 0) -> Any:
        """Return the `tf.Graph`; build it if there is none yet. No data files are needed.

        Args:
            first_step: the step at which the input stream starts.
        """
        if self._train_graph is None:
            set_intra_op_threads(self.config)
            self.device = choose_device(self.config)
            self._graph = tf.Graph()
            with building_in(self._graph), tf.device(self.device), gc_paused():
                self._train_graph = build_train_graph(
                    self.config,
                    self.data.spec,
                    Parts.of(self.config, self._own_code.functions_of(self.config)),
                    self.data.num_train,
                    first_step,
                    has_example_weights=self.data.has_example_weights,
                    class_counts=self.data.class_counts,
                    share=self._share,
                    read=self.data.read_columns,
                )
                self._first_step = first_step
                self._saver = make_saver(self._graph)
        return self._graph

    def evaluate(
        self,
        split: str | Split | Pair = "test",
        limit: int | None = None,
        tta: str | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        on_batch: OnBatch | None = None,
        turn: int = 0,
    ) -> dict[str, Any]:
        """Evaluate the session's weights; without a session, those of the run in save_dir.

        Whoever reads `session` before training makes one, with untrained weights.

        Args:
            split: "test", "validation" or "train", a Split, or arrays as for `Train(data=)`.
            limit: evaluate at most `limit` images; see `TrainingData.chosen`.
            tta: test-time augmentation: "none", "mirror" or "mirror_shift"; default: as configured.
            should_stop: called before each batch; True stops the evaluation.
            on_batch: called with the logits and probabilities of each batch.
            turn: which images `limit` takes; see `TrainingData.chosen`.

        Returns:
            accuracy, loss, top5_accuracy and n; if not of classes, as `run.metrics.target_sums`.

        Raises:
            DataError: images or labels have a wrong type, shape or range.
            EvaluationStoppedError: `should_stop` returned True.
            CnnlabError: there is no session, and save_dir holds no checkpoint.
        """
        weights = self._weights()
        chosen = self.data.chosen(split, limit, turn)
        sums = weights.evaluate(chosen, tta, should_stop, on_batch, self._complete)
        return sums.result()

    def predict(self, images: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return class probabilities, with the same weights as `evaluate`.

        Args:
            images: uint8 [n, height, width, channels], or numbers in the data's image_range.

        Returns:
            float32 [n, num_classes]: probabilities of the classes or labels, or the values.

        Raises:
            DataError: the images have a wrong type, shape or range.
        """
        weights = self._weights()
        return weights.predict(check_fitting_images("given", images, self.data.spec))

    def restore(self, step: int | None = None) -> int:
        """Load a checkpoint of the run in save_dir into the session, and return its step.

        Args:
            step: the checkpoint's step; default: the newest checkpoint's.

        Raises:
            UsageError: an option differs from the run's, or the data or the model's code does.
            CnnlabError: the checkpoint does not exist, is damaged, or is of another model.
        """
        self._use_run_options()
        run = RunDirectory(self.config)
        if step is None and not (step := run.latest_step()):
            raise CnnlabError(f"{run.path} holds no checkpoint, so no trained weights; train first")
        if self.step != step:
            self.close()
        self.build_graph(step)
        run.checkpoints.restore(self.saver, self.session, step, exactly=True)
        return step

    def close(self) -> None:
        """Free the session and the graph; the next use builds them again, untrained."""
        if self._session is not None:
            self._session.close()
        self._session = self._graph_session = None
        self._train_graph = self._graph = self._saver = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def graph(self) -> Any:
        """The `tf.Graph`; its first use builds it."""
        return self.build_graph()

    @property
    def saver(self) -> Any:
        """The `tf.train.Saver` of all variables."""
        self.build_graph()
        return self._saver

    @property
    def train_graph(self) -> TrainGraph:
        """Every tensor of the graph by name; its first use builds the graph."""
        self.build_graph()
        assert self._train_graph is not None
        return self._train_graph

    @property
    def session(self) -> Any:
        """The session; its first use initializes the variables and loads the data."""
        if self._session is None:
            self._session = self._start_session()
        return of_this_process(self._session)

    @property
    def step(self) -> int:
        """Number of steps made so far; 0 before there is a session."""
        return 0 if self._session is None else int(self.session.run(self.train_graph.global_step))

    def describe(self) -> str:
        """Return one phrase: number of parameters, size of the graph, device, oneDNN."""
        with building_in(self.graph):
            parameters = sum(int(np.prod(v.shape)) for v in tf.trainable_variables())
        graph_mb = len(self.graph.as_graph_def().SerializeToString()) / 1e6
        device = describe_device(self.config, self.device)
        return f"{parameters:,} parameters, graph {graph_mb:.2f} MB; {device}"

    def _start_session(self) -> Any:
        """Return a session with initialized variables and the training set resident."""
        graph, train = self.train_graph, self.data.split("train")
        session = self._open_session(session_config(self.config))
        loaded = self._initialize_variables(session)
        graph.fill_data(session, train)
        if self._first_step == 0:
            self._fill_from_images(session, train.images, loaded)
        del train
        self.data.release_train()
        self.graph.finalize()
        return session

    def _open_session(self, config: Any) -> Any:
        return open_session(self.graph, config)

    def _initialize_variables(self, session: Any) -> dict[Any, Any]:
        """Initialize the variables; return the values that --init_from gives, by initial value."""
        loaded: dict[Any, Any] = {}
        if self._first_step == 0:  # a later first step means that a checkpoint will be restored
            self.config = with_init_step(self.config)
            loaded = start_values(self.config, self.train_graph.variables)
        session.run(self.train_graph.init_op, loaded)
        return loaded

    def _fill_from_images(self, session: Any, images: Any, loaded: dict[Any, Any]) -> None:
        """Compute the values that start from the training images, uint8 [n, height, width, ...]."""
        if (graph := self.train_graph.inference).statistics is not None:
            graph.statistics.fill(session, images)
        for start in graph.data_starts:
            # A loaded value must stay: the layers after it were trained with it.
            if start.initial_value not in loaded:
                start.fill(session, graph.images_ph, images)

    def _set_config(self, config: Config) -> None:
        """Check the options of model and data, and use these options from now on."""
        arrays = self._arrays
        targets = targets_by_name(config) if arrays is None else arrays.spec.targets
        config = fitted_to_targets(config, targets, self._given)
        self._own_code.complete(config)
        Parts.of(config, self._own_code.functions_of(config))  # checks the model's options
        scaling_of(config.augment, config.scaling)
        unchanged = "config" in vars(self) and not graph_options_differ(self.config, config)
        if unchanged and config.depends_on_length:
            unchanged = self.data.schedule_length(self.config) == self.data.schedule_length(config)
        self.config = config
        if not unchanged:
            self.close()
            self.data = TrainingData(config, self._arrays)
            check_eval_part(config)
            if config.verify_data or self._arrays is not None:
                self.data.check_options()

    def _use_run_options(self) -> None:
        """Use the options of the run in save_dir, if it holds one with the same data and model."""
        self._set_config(resolve_for_run(self._given))
        self._own_functions = self._own_code.named_by(self.config)
        self._fingerprints = fingerprints_of(self.data, self._own_functions)
        check_fingerprints(self.config, self._fingerprints)

    def _weights(self) -> GraphSession:
        """Return the session's weights; without a session, those of the run in save_dir."""
        if self._session is None:
            config = resolve_for_run(self._given)
            if config.init_from is None or RunDirectory(config).latest_step():
                self.restore()
        session = self.session
        if self._graph_session is None:
            self._graph_session = GraphSession(session, self.train_graph.inference, self.config)
        return self._graph_session
