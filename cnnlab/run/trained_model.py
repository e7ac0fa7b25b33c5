"""The weights of a run directory, ready to evaluate and predict."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cnnlab.base.garbage import gc_paused
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import open_session, tf
from cnnlab.config.config import Config
from cnnlab.data.datasets import Split
from cnnlab.data.specs import DATASETS, DatasetSpec
from cnnlab.graph.inference_graph import build_inference_graph
from cnnlab.graph.parts import Parts
from cnnlab.run.device import choose_device, session_config
from cnnlab.run.disk.chosen import find_checkpoints, restore_chosen
from cnnlab.run.disk.saver import make_saver
from cnnlab.run.inference import Complete, GraphSession, OnBatch
from cnnlab.run.metrics.target_sums import Sums
from cnnlab.run.ranking import Ranked


def check_image_shape(
    save_dir: str | Path, config: Config, spec: DatasetSpec, checkpoint: str, parts: Parts
) -> None:
    """Compare the network with the checkpoint, if only config.yaml says which images it takes.

    Call this before you read image files: a forged shape may need any amount of memory.

    Args:
        save_dir, config, spec, checkpoint, parts: see `TrainedModel`.

    Raises:
        CnnlabError: the checkpoint is of another model, for example of smaller images.
    """
    if config.dataset not in DATASETS:
        TrainedModel(save_dir, config, spec, checkpoint, parts).session.close()


class TrainedModel:
    """The weights of a run directory in a session, ready to evaluate and predict.

    Attributes:
        config: the run's options.
        spec: shape and classes of the run's data.
        step: the step of the checkpoint.
        graph: the inference graph.
        session: the `tf.Session`, which holds the weights.
    """

    def __init__(
        self,
        save_dir: str | Path,
        config: Config,
        spec: DatasetSpec,
        checkpoint: str = "latest",
        parts: Parts | None = None,
        *,
        as_written: bool = False,
    ) -> None:
        """Build the inference graph and load the weights.

        Args:
            save_dir: a run directory.
            config: the run's options.
            spec: shape and classes of the run's data.
            checkpoint: "latest", "best" or the number of a step.
            parts: the model, and the user's other functions; default: those that the options name.
            as_written: see `cnnlab.graph.inference_graph.build_inference_graph`.

        Raises:
            UsageError: the checkpoint's name is none of these.
            CnnlabError: the checkpoint does not exist, or it is damaged.
        """
        checkpoints = find_checkpoints(save_dir, checkpoint)
        self.config, self.spec = config, spec
        graph = tf.Graph()
        with building_in(graph), tf.device(choose_device(config)), gc_paused():
            self.graph = build_inference_graph(
                config, spec, parts or Parts.of(config), as_written=as_written
            )
            saver = make_saver(graph)
        self.session = open_session(graph, session_config(config))
        self.step = restore_chosen(checkpoints, checkpoint, saver, self.session)
        self._graph_session = GraphSession(self.session, self.graph, config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.session.close()

    def evaluate(
        self, split: Split, on_batch: OnBatch | None = None, complete: Complete | None = None
    ) -> Sums:
        """Evaluate every image of a split; for the arguments see `GraphSession.evaluate`."""
        return self._graph_session.evaluate(split, on_batch=on_batch, complete=complete)

    def predict(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return class probabilities, float32 [n, num_classes]; see `GraphSession.predict`."""
        return self._graph_session.predict(images)

    def predict_finite(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the same, or raise NonFiniteError; see `GraphSession`."""
        return self._graph_session.predict_finite(images)

    def predict_ranked(self, images: npt.NDArray[Any]) -> Ranked:
        """Return the classes, ranked, and their probabilities; see `GraphSession`."""
        return self._graph_session.predict_ranked(images)
