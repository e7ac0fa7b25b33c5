"""Evaluation and prediction: the inference graph over any number of images, none left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from cnnlab.base.aligned import ALIGNMENT
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import check_not_forked, config_pb2, on_calling_thread, translate_op_errors
from cnnlab.config.config import Config
from cnnlab.config.training_options import Tta
from cnnlab.data.datasets import Split
from cnnlab.data.row_images import batches_of
from cnnlab.graph.inference_graph import InferenceGraph
from cnnlab.graph.update.losses import CROSS_ENTROPIES
from cnnlab.run.metrics.sums import check_finite
from cnnlab.run.metrics.target_sums import Sums, sums_of
from cnnlab.run.ranking import Ranked, ranked

WIDEST_BATCH_BYTES = 2**23  # larger arrays are slow to allocate, and few batches gain little

OnBatch = Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], None]
Found = dict[str, Any]  # outputs of a batch by name, float32 [batch, ...]
# Returns the outputs of the batches that begin at these images.
ComputeBatches = Callable[[Sequence[int]], Iterator[Found]]
# Returns those of all batches; its arguments: the function above, the starts, the names.
Complete = Callable[[ComputeBatches, Sequence[int], Sequence[str]], Iterable[Found]]


class EvaluationStoppedError(Exception):
    """An evaluation was asked to stop before its end, so it has no result."""


class GraphSession:
    """An inference graph and a session that holds its weights.

    For a small network, `session.run` takes longer than the arithmetic. So each kind of run is
    prepared once, and runs on the calling thread.
    """

    def __init__(self, session: Any, graph: InferenceGraph, config: Config) -> None:
        """Choose the batch size, and prepare nothing else yet.

        Args:
            session: a `tf.Session` with the weights.
            graph: the inference graph, part of the session's graph.
            config: gives batch size, loss and test-time augmentation.
        """
        self._session, self._graph, self._tta = session, graph, config.tta
        # NumPy computes the cross-entropy from the logits faster than TensorFlow does.
        self._fetches_losses = config.loss not in CROSS_ENTROPIES
        self._batch_size = eval_batch_size(config, graph)
        self._calls: dict[tuple[str, ...], Any] = {}

    def run(self, fetches: Sequence[str], feeds: dict[str, npt.ArrayLike]) -> dict[str, Any]:
        """Return the fetched arrays and the fed ones, by name.

        Args:
            fetches: names of attributes of `InferenceGraph`, or metrics.NAME.
            feeds: name of an attribute of `InferenceGraph` to its value.
        """
        check_not_forked()
        computed = [name for name in fetches if name not in feeds]
        tensors = {name: self._tensor(name) for name in (*feeds, *computed)}
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
            # The public `make_callable` falls back to `session.run` if anything is fed.
            self._calls[kind] = self._session._make_callable_from_options(options)
        found = self._calls[kind](*arrays)
        return {**feeds, **dict(zip(computed, found, strict=True))}

    def _tensor(self, name: str) -> Any:
        kind, _, own = name.partition(".")
        return self._graph.metrics[own].figures if kind == "metrics" else getattr(self._graph, name)

    def evaluate(
        self,
        split: Split,
        tta: str | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        on_batch: OnBatch | None = None,
        complete: Complete | None = None,
    ) -> Sums:
        """Evaluate every image of a split, including those of a smaller last batch.

        Args:
            split: images [n, height, width, channels] and labels, as the run's spec says.
            tta: test-time augmentation, see `weighted_views`; default: as configured.
            should_stop: called before each batch; True stops the evaluation.
            on_batch: called with each batch's logits and probabilities, both float32
                [batch, num_classes], for a caller that needs more than sums.
            complete: computes all batches, together with other processes; None: alone.

        Raises:
            EvaluationStoppedError: `should_stop` returned True.
            NonFiniteError: a logit is not finite.
            CnnlabError: TensorFlow fails, usually because memory is short; or a metric of the
                user's is not finite.
        """
        batch_size, tta = self._batch_size, self._tta if tta is None else tta
        graph = self._graph
        sums = sums_of(graph.targets, int(graph.logits.shape[1]), graph.heads)
        # Figures of real values are of the outputs, the others of the logits.
        measured = "probabilities" if self._graph.targets == "values" else "logits"
        answers, losses, logits = [], [], []
        fetches = ["logits"] + ["losses"] * self._fetches_losses
        fetches += ["probabilities"] * (on_batch is not None or measured == "probabilities")

        def compute(starts: Sequence[int]) -> Iterator[Found]:
            batches = batches_of(split.images, batch_size, starts)
            for start, images in zip(starts, batches, strict=True):
                if should_stop():
                    raise EvaluationStoppedError
                with translate_op_errors("evaluation"):
                    feeds = self._feeds(images, tta)
                    if self._fetches_losses:
                        feeds["labels_ph"] = split.labels[start : start + batch_size]
                    found = self.run(fetches, feeds)
                yield found

        starts = range(0, len(split.labels), batch_size)
        for found in complete(compute, starts, fetches) if complete else compute(starts):
            answers.append(found[measured])
            logits += [found["logits"]] if self._graph.metrics else []
            if self._fetches_losses:
                losses.append(found["losses"])
            if on_batch is not None:
                on_batch(found["logits"], found["probabilities"])
        if answers:  # all batches in one call: NumPy's calls cost more than the arithmetic
            all_losses = np.concatenate(losses) if losses else None
            sums.add(np.concatenate(answers), split.labels, all_losses)
        if logits:
            sums.own.update(self._own_figures(split.labels, np.concatenate(logits)))
        return sums

    def _own_figures(
        self, labels: npt.NDArray[Any], logits: npt.NDArray[np.float32]
    ) -> dict[str, float]:
        """Return the user's metrics of all images of a split together, by name.

        Args:
            labels: of n images.
            logits: float32 [n, num_classes].
        """
        feeds: dict[str, npt.ArrayLike] = {"labels_ph": labels, "logits": logits}
        with translate_op_errors("the metrics"):
            found = self.run([f"metrics.{name}" for name in self._graph.metrics], feeds)
        means = {}
        for name, metric in self._graph.metrics.items():
            figures = np.asarray(found[f"metrics.{name}"])
            if figures.ndim and len(figures) != len(labels):
                problem = f"returned {len(figures)} figures for {len(labels)} images"
                raise CnnlabError(f"{metric.place} {problem}")
            means[name] = float(figures.mean())
            if not math.isfinite(means[name]):
                raise CnnlabError(
                    f"{metric.place} returned {means[name]}; a metric must be a finite number, so "
                    "use tf.math.divide_no_nan where it may divide by 0"
                )
        return means

    def predict(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return what the network says about images; see `InferenceGraph.probabilities`.

        Args:
            images: [n, height, width, channels], of the type and range of the run's images.

        Returns:
            float32 [n, num_classes]: probabilities, or the predicted values.
        """
        return self._fetch(images, "probabilities")[0]

    def predict_finite(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return what `predict` does.

        Raises:
            NonFiniteError: a logit is not finite.
        """
        logits, outputs = self._fetch(images, "logits", "probabilities")
        check_finite(logits)
        return outputs

    def predict_ranked(self, images: npt.NDArray[Any]) -> Ranked:
        """Return the classes of images, ranked as `evaluate` does, and their probabilities.

        Args:
            images: [n, height, width, channels], of the type and range of the run's images.

        Raises:
            NonFiniteError: a logit is not finite.
        """
        logits, probabilities = self._fetch(images, "logits", "probabilities")
        check_finite(logits)
        return ranked(logits, probabilities, self._graph.heads)

    def _fetch(self, images: npt.NDArray[Any], *names: str) -> list[npt.NDArray[np.float32]]:
        """Return outputs of the network for images, each float32 [n, num_classes]."""
        found = [[np.zeros((0, self._graph.logits.shape[1]), np.float32)] for _ in names]
        for batch in batches_of(images, self._batch_size):
            with translate_op_errors("prediction"):
                feeds = self._feeds(batch, self._tta)
                outputs = self.run(names, feeds)
            for batches, name in zip(found, names, strict=True):
                batches.append(outputs[name])
        return [np.concatenate(batches) for batches in found]

    def _feeds(self, images: npt.NDArray[Any], tta: str) -> dict[str, npt.ArrayLike]:
        """Return what to feed for these images: the images, or the mean logits of their views."""
        if tta == "none":
            return {"images_ph": images}
        averaged = sum(
            np.float32(share) * self.run(["logits"], {"images_ph": view})["logits"]
            for share, view in weighted_views(images, tta)
        )
        return {"logits": averaged}  # float32 [n, num_classes]


def eval_batch_size(config: Config, graph: InferenceGraph) -> int:
    """Return the number of images a session run.

    With "auto" it is the largest multiple of ALIGNMENT for which the largest float32 output of a
    layer has at most WIDEST_BATCH_BYTES. It is never less than `config.smallest_eval_batch_size`,
    which is also used if the size of an output is unknown.
    """
    if config.eval_batch_size != "auto":
        return config.smallest_eval_batch_size
    scopes = ("input/", "model/")
    shapes = [
        output.shape
        for op in graph.logits.graph.get_operations()
        for output in op.outputs
        if op.name.startswith(scopes)
    ]
    # Only outputs with one row an image: the length of their first axis is unknown.
    sizes = [s[1:].num_elements() for s in shapes if s.rank is None or s.as_list()[:1] == [None]]
    if None in sizes:
        return config.smallest_eval_batch_size
    fitting = WIDEST_BATCH_BYTES // (4 * max(sizes))
    # With a multiple of ALIGNMENT, TensorFlow can use each batch's memory without a copy.
    return max(config.smallest_eval_batch_size, fitting - fitting % ALIGNMENT)


def weighted_views(images: npt.NDArray[Any], tta: str) -> list[tuple[float, npt.NDArray[Any]]]:
    """Return the views of test-time augmentation, each with the weight of its logits.

    The views are those of airbench94 (Keller Jordan 2024, arXiv 2404.00498). `mirror` uses the
    image and its mirror image. `mirror_shift` gives half of the weight to these two. The other
    half goes to four more views. They are the image shifted by one pixel, down and right or up and
    left, and the mirror images of both. Shifted images are padded by reflection.

    Args:
        images: [n, height, width, channels].
        tta: none, mirror or mirror_shift.

    Returns:
        (weight, view) of each view; the weights sum to 1.

    Raises:
        UsageError: there is no such tta.
    """
    if tta not in get_args(Tta):
        raise UsageError(f"unknown tta {tta}; it is one of {', '.join(get_args(Tta))}")
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
