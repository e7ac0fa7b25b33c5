"""Running the inference tower over any number of images, none left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cnnlab.checkpoint import BEST_DIR, Checkpoints, make_saver
from cnnlab.config import Config
from cnnlab.data.datasets import Split
from cnnlab.data.specs import DatasetSpec
from cnnlab.device import choose_device, session_config
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.graph import PredictGraph, build_predict_graph
from cnnlab.metrics import EvaluationSums
from cnnlab.models import find_model
from cnnlab.tf1 import naming_op_errors, tf


class EvaluationStoppedError(Exception):
    """An evaluation was told to stop before its end; it has no result."""


def run_evaluation(
    session: Any,
    tower: PredictGraph,
    split: Split,
    num_classes: int,
    batch_size: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> EvaluationSums:
    """Evaluate every image of a split, the last partial batch too.

    Args:
        session: holds the weights.
        tower: the inference tower of the session's graph.
        split: images uint8 [n, height, width, channels], labels int [n].
        num_classes: number of classes.
        batch_size: images a session run (>= 1).
        should_stop: asked before each batch.

    Raises:
        EvaluationStoppedError: it was to stop.
        NonFiniteError: a logit is not finite.
        CnnlabError: TensorFlow fails, for want of memory as a rule.
    """
    sums = EvaluationSums(num_classes)
    for start in range(0, len(split.labels), batch_size):
        if should_stop():
            raise EvaluationStoppedError
        images = split.images[start : start + batch_size]
        labels = split.labels[start : start + batch_size]
        with naming_op_errors("evaluation"):
            logits, losses = session.run(
                (tower.logits, tower.losses), {tower.images_ph: images, tower.labels_ph: labels}
            )
        sums.add(logits, labels, losses)
    return sums


def run_prediction(
    session: Any, tower: PredictGraph, images: npt.NDArray[np.uint8], batch_size: int
) -> npt.NDArray[np.float32]:
    """Class probabilities of images uint8 [n, height, width, channels]: float32 [n,
    num_classes]."""
    batches: Iterator[Any] = (
        session.run(tower.probabilities, {tower.images_ph: images[start : start + batch_size]})
        for start in range(0, len(images), batch_size)
    )
    none = np.zeros((0, tower.probabilities.shape[1]), np.float32)
    return np.concatenate([none, *batches])


class TrainedModel:
    """The weights of a run directory in a session, ready to evaluate and predict.

    Attributes:
        config: the run's options.
        spec: its data set's shape and classes.
        step: of the checkpoint.
        tower: the inference tower.
        session: holds the weights.
    """

    def __init__(
        self, save_dir: str | Path, config: Config, spec: DatasetSpec, checkpoint: str = "latest"
    ) -> None:
        """Build the inference graph and load the weights.

        Args:
            save_dir: a run directory.
            config: its options.
            spec: its data set's shape and classes.
            checkpoint: "latest", "best" or the number of a step.

        Raises:
            UsageError: the checkpoint's name is none of these, or the model is a script's function.
            CnnlabError: no such checkpoint, or it is damaged.
        """
        is_step = re.fullmatch("[0-9]{1,19}", checkpoint) is not None
        if checkpoint not in ("latest", "best") and not is_step:
            raise UsageError(
                f"--checkpoint={checkpoint[:50]} is not latest, best or a step's number"
            )
        folder = Path(save_dir) / BEST_DIR if checkpoint == "best" else Path(save_dir)
        checkpoints = Checkpoints(folder, None)
        step = int(checkpoint) if is_step else checkpoints.latest_intact()
        if step is None:
            raise CnnlabError(f"{folder} holds no checkpoint yet")
        self.config, self.spec, self.step = config, spec, step
        model = find_model(config.model)
        graph = tf.Graph()
        with graph.as_default(), tf.device(choose_device(config)):
            self.tower = build_predict_graph(config, spec, model)
            saver = make_saver(graph)
        self.session = tf.Session(graph=graph, config=session_config(config))
        checkpoints.restore(saver, self.session, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.session.close()

    def evaluate(self, split: Split) -> EvaluationSums:
        """Evaluate every image of a split."""
        return run_evaluation(
            self.session, self.tower, split, self.spec.num_classes, self.config.eval_batch_size
        )

    def predict(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Class probabilities float32 [n, num_classes] of uint8 [n, height, width, channels]."""
        return run_prediction(self.session, self.tower, images, self.config.eval_batch_size)
