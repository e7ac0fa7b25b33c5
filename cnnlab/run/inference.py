"""Running the inference tower over any number of images, none left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.aligned import ALIGNMENT
from cnnlab.base.tf1 import config_pb2, on_calling_thread, translate_op_errors
from cnnlab.config.config import Config
from cnnlab.data.datasets import Split
from cnnlab.graph.inference_graph import InferenceGraph
from cnnlab.graph.update.losses import CROSS_ENTROPIES
from cnnlab.run.metrics.sums import EvaluationSums

WIDEST_BATCH_BYTES = 2**23  # larger arrays are slow to come by, and a batch's own cost is small

OnBatch = Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], None]


class EvaluationStoppedError(Exception):
    """An evaluation was told to stop before its end; it has no result."""


class GraphSession:
    """An inference tower and a session that holds its weights.

    For a small network `session.run` takes longer than the arithmetic, so each kind of run is
    prepared once, and made on the calling thread.
    """

    def __init__(self, session: Any, tower: InferenceGraph, config: Config) -> None:
        """Args: tower: of the session's graph; config: gives batch size and augmentation."""
        self._session, self._tower, self._tta = session, tower, config.tta
        # Cross-entropy is counted from the logits, in less time than TensorFlow takes.
        self._fetches_losses = config.loss not in CROSS_ENTROPIES
        self._batch_size = eval_batch_size(config, tower)
        self._calls: dict[tuple[str, ...], Any] = {}

    def run(self, fetches: Sequence[str], feeds: dict[str, npt.ArrayLike]) -> dict[str, Any]:
        """Fetch what the tower computes.

        Args:
            fetches: names of attributes of `InferenceGraph`.
            feeds: name of such an attribute to its value.

        Returns:
            name to array, of both.
        """
        computed = [name for name in fetches if name not in feeds]
        tensors = {name: getattr(self._tower, name) for name in (*feeds, *computed)}
        if not computed:
            return dict(feeds)
        arrays = [np.asarray(feeds[name], tensors[name].dtype.as_numpy_dtype) for name in feeds]
        kind = (*feeds, "to", *computed)
        if kind not in self._calls:
            options = config_pb2.CallableOptions(
                feed=[tensors[name].name for name in feeds],
                fetch=[tensors[name].name for name in computed],
                run_options=on_calling_thread(),
            )
            # The public `make_callable` calls `session.run` where anything is fed.
            self._calls[kind] = self._session._make_callable_from_options(options)
        found = self._calls[kind](*arrays)
        return {**feeds, **dict(zip(computed, found, strict=True))}

    def evaluate(
        self,
        split: Split,
        tta: str | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        on_batch: OnBatch | None = None,
    ) -> EvaluationSums:
        """Evaluate every image of a split, the last partial batch too.

        Args:
            split: images uint8 [n, height, width, channels], labels int [n].
            tta: test-time augmentation, if not as configured; see `weighted_views`.
            should_stop: asked before each batch.
            on_batch: called with each batch's logits and probabilities, float32
                [batch, num_classes], where sums alone are not enough.

        Raises:
            EvaluationStoppedError: it was to stop.
            NonFiniteError: a logit is not finite.
            CnnlabError: TensorFlow fails, for want of memory as a rule.
        """
        batch_size, tta = self._batch_size, self._tta if tta is None else tta
        sums = EvaluationSums(int(self._tower.logits.shape[1]))
        logits, losses = [], []
        fetches = ["logits"] + ["losses"] * self._fetches_losses
        fetches += ["probabilities"] * (on_batch is not None)
        for start in range(0, len(split.labels), batch_size):
            if should_stop():
                raise EvaluationStoppedError
            part = slice(start, start + batch_size)
            with translate_op_errors("evaluation"):
                feeds = self._feeds(split.images[part], tta)
                if self._fetches_losses:
                    feeds["labels_ph"] = split.labels[part]
                found = self.run(fetches, feeds)
            logits.append(found["logits"])
            if self._fetches_losses:
                losses.append(found["losses"])
            if on_batch is not None:
                on_batch(found["logits"], found["probabilities"])
        if logits:  # counted at once: NumPy's calls cost more than the arithmetic
            all_losses = np.concatenate(losses) if losses else None
            sums.add(np.concatenate(logits), split.labels, all_losses)
        return sums

    def predict(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Class probabilities of images uint8 [n, height, width, channels]: float32 [n,
        num_classes]."""
        batches = [np.zeros((0, self._tower.probabilities.shape[1]), np.float32)]
        for start in range(0, len(images), self._batch_size):
            with translate_op_errors("prediction"):
                feeds = self._feeds(images[start : start + self._batch_size], self._tta)
                batches.append(self.run(["probabilities"], feeds)["probabilities"])
        return np.concatenate(batches)

    def _feeds(self, images: npt.NDArray[np.uint8], tta: str) -> dict[str, npt.ArrayLike]:
        """What to feed for these images: themselves, or the logits that their views have on
        average."""
        if tta == "none":
            return {"images_ph": images}
        averaged = sum(
            np.float32(share) * self.run(["logits"], {"images_ph": view})["logits"]
            for share, view in weighted_views(images, tta)
        )
        return {"logits": averaged}  # float32 [n, num_classes]


def eval_batch_size(config: Config, tower: InferenceGraph) -> int:
    """Images a session run: as configured, or enough of them to fill some megabytes."""
    if config.eval_batch_size != "auto":
        return config.smallest_eval_batch_size
    scopes = ("input/", "model/")
    shapes = [
        output.shape
        for op in tower.logits.graph.get_operations()
        for output in op.outputs
        if op.name.startswith(scopes)
    ]
    # What has an image a row: its first axis is of no known length.
    sizes = [s[1:].num_elements() for s in shapes if s.rank is None or (s.rank and s[0] is None)]
    if None in sizes:
        return config.smallest_eval_batch_size
    fitting = WIDEST_BATCH_BYTES // (4 * max(sizes))
    # A multiple: so each batch begins where its memory can be used as it is.
    return max(config.smallest_eval_batch_size, fitting - fitting % ALIGNMENT)


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
