"""Running the inference tower over any number of images, none left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cnnlab.checkpoint import find_checkpoint, make_saver
from cnnlab.config import Config
from cnnlab.data.datasets import Split
from cnnlab.data.specs import DatasetSpec
from cnnlab.device import choose_device, session_config
from cnnlab.inference_graph import PredictGraph, build_predict_graph
from cnnlab.metrics import EvaluationSums
from cnnlab.models import find_model
from cnnlab.tf1 import naming_op_errors, tf

OnBatch = Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], None]


class EvaluationStoppedError(Exception):
    """An evaluation was told to stop before its end; it has no result."""


def run_evaluation(
    session: Any,
    tower: PredictGraph,
    split: Split,
    num_classes: int,
    batch_size: int,
    tta: str = "none",
    should_stop: Callable[[], bool] = lambda: False,
    on_batch: OnBatch | None = None,
) -> EvaluationSums:
    """Evaluate every image of a split, the last partial batch too.

    Args:
        session: holds the weights.
        tower: the inference tower of the session's graph.
        split: images uint8 [n, height, width, channels], labels int [n].
        num_classes: number of classes.
        batch_size: images a session run (>= 1).
        tta: test-time augmentation; see `weighted_views`.
        should_stop: asked before each batch.
        on_batch: called with each batch's logits and probabilities, float32 [batch, num_classes],
            where sums alone are not enough.

    Raises:
        EvaluationStoppedError: it was to stop.
        NonFiniteError: a logit is not finite.
        CnnlabError: TensorFlow fails, for want of memory as a rule.
    """
    sums = EvaluationSums(num_classes)
    fetches = {"logits": tower.logits, "losses": tower.losses}
    if on_batch is not None:
        fetches["probabilities"] = tower.probabilities
    for start in range(0, len(split.labels), batch_size):
        if should_stop():
            raise EvaluationStoppedError
        labels = split.labels[start : start + batch_size]
        with naming_op_errors("evaluation"):
            feed = _feed_of(session, tower, split.images[start : start + batch_size], tta)
            found = session.run(fetches, {**feed, tower.labels_ph: labels})
        sums.add(found["logits"], labels, found["losses"])
        if on_batch is not None:
            on_batch(found["logits"], found["probabilities"])
    return sums


def run_prediction(
    session: Any,
    tower: PredictGraph,
    images: npt.NDArray[np.uint8],
    batch_size: int,
    tta: str = "none",
) -> npt.NDArray[np.float32]:
    """Class probabilities of images uint8 [n, height, width, channels]: float32 [n,
    num_classes]; tta: see `weighted_views`."""
    batches = []
    for start in range(0, len(images), batch_size):
        with naming_op_errors("prediction"):
            feed = _feed_of(session, tower, images[start : start + batch_size], tta)
            batches.append(session.run(tower.probabilities, feed))
    none = np.zeros((0, tower.probabilities.shape[1]), np.float32)
    return np.concatenate([none, *batches])


def weighted_views(
    images: npt.NDArray[np.uint8], tta: str
) -> list[tuple[float, npt.NDArray[np.uint8]]]:
    """The views of test-time augmentation, and the weight of each one's logits; the sum is 1.

    As airbench94 has it (Keller Jordan 2024, arXiv 2404.00498): mirror is the image and its mirror
    image; mirror_shift gives these half the weight, and the other half to the image shifted one
    pixel down and right, one up and left, and their mirror images; edges are mirrored.

    Args:
        images: uint8 [n, height, width, channels].
        tta: none, mirror or mirror_shift.
    """
    views = [images]
    if tta == "mirror_shift":
        height, width = images.shape[1:3]
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        views += [padded[:, :height, :width], padded[:, 2:, 2:]]
    shares = [1.0] if len(views) == 1 else [0.5, 0.25, 0.25]
    if tta == "none":
        return list(zip(shares, views, strict=True))
    weighted = []
    for share, view in zip(shares, views, strict=True):
        weighted += [(share / 2, view), (share / 2, view[:, :, ::-1])]
    return weighted


def _feed_of(
    session: Any, tower: PredictGraph, images: npt.NDArray[np.uint8], tta: str
) -> dict[Any, Any]:
    """What to feed for these images: themselves, or the logits that their views have on average."""
    if tta == "none":
        return {tower.images_ph: images}
    averaged = sum(
        np.float32(share) * session.run(tower.logits, {tower.images_ph: view})
        for share, view in weighted_views(images, tta)
    )
    return {tower.logits: averaged}  # float32 [n, num_classes]


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
        self,
        save_dir: str | Path,
        config: Config,
        spec: DatasetSpec,
        checkpoint: str = "latest",
        *,
        as_written: bool = False,
    ) -> None:
        """Build the inference graph and load the weights.

        Args:
            save_dir: a run directory.
            config: its options.
            spec: its data set's shape and classes.
            checkpoint: "latest", "best" or the number of a step.
            as_written: see `cnnlab.tower.Tower`.

        Raises:
            UsageError: the checkpoint's name is none of these, or the model is a script's function.
            CnnlabError: no such checkpoint, or it is damaged.
        """
        checkpoints, step = find_checkpoint(save_dir, checkpoint)
        self.config, self.spec, self.step = config, spec, step
        model = find_model(config.model)
        graph = tf.Graph()
        with graph.as_default(), tf.device(choose_device(config)):
            self.tower = build_predict_graph(config, spec, model, as_written=as_written)
            saver = make_saver(graph)
        self.session = tf.Session(graph=graph, config=session_config(config))
        checkpoints.restore(saver, self.session, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.session.close()

    def evaluate(self, split: Split, on_batch: OnBatch | None = None) -> EvaluationSums:
        """Evaluate every image of a split; on_batch: see `run_evaluation`."""
        return run_evaluation(
            self.session,
            self.tower,
            split,
            self.spec.num_classes,
            self.config.eval_batch_size,
            self.config.tta,
            on_batch=on_batch,
        )

    def predict(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Class probabilities float32 [n, num_classes] of uint8 [n, height, width, channels]."""
        config = self.config
        return run_prediction(self.session, self.tower, images, config.eval_batch_size, config.tta)
