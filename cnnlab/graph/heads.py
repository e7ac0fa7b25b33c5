"""Several softmax heads on one network, with a loss each.

Everything after the network has the logits of all heads side by side, float32 [batch, classes of
all heads]; labels and probabilities have the same columns. The loss of an image is the weighted sum
of the heads' cross-entropies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.base.user_code import place_of
from cnnlab.config.config import Config
from cnnlab.data.specs import DatasetSpec


class WeightedHead(NamedTuple):
    """A head in the graph.

    name: of the head.
    columns: where its classes are among those of all heads.
    weight: the factor on its cross-entropy.
    """

    name: str
    columns: slice
    weight: float

    @property
    def num_classes(self) -> int:
        return int(self.columns.stop - self.columns.start)


Heads = Sequence[WeightedHead]


def heads_of(config: Config, spec: DatasetSpec) -> tuple[WeightedHead, ...]:
    """Return the heads of a run; none if its data has no heads."""
    weights = config.head_weights or {}
    return tuple(
        WeightedHead(head.name, head.columns, float(weights.get(head.name, 1.0)))
        for head in spec.heads
    )


def join_logits(heads: Heads, logits: Any, model: Callable[..., Any]) -> Any:
    """Return the logits of all heads side by side.

    Args:
        heads: of the run; none: the logits are not changed.
        logits: what the model returned: a mapping from head to its logits, or those of all heads.
        model: the model, for messages.

    Raises:
        CnnlabError: the mapping lacks a head, has another one, or logits of another shape.
    """
    if not heads or not isinstance(logits, Mapping):
        return logits
    names = [head.name for head in heads]
    if set(logits) != set(names):
        raise CnnlabError(
            f"{place_of(model)} returned logits of the heads {', '.join(map(str, logits))}, but "
            f"the data has {', '.join(names)}"
        )
    for head in heads:
        one = logits[head.name]
        is_right = tf.is_tensor(one) and one.dtype == tf.float32 and one.shape.rank == 2
        if not is_right or one.shape[1] != head.num_classes:
            found = f"{one.dtype.name} {one.shape}" if tf.is_tensor(one) else type(one).__name__
            raise CnnlabError(
                f"{place_of(model)} returned {found} for the head {head.name}; it needs logits "
                f"[batch, {head.num_classes}], float32"
            )
    return tf.concat([logits[name] for name in names], axis=1, name="heads")


def loss_of_heads(heads: Heads, targets: Any, logits: Any) -> Any:
    """Return the sum over the heads of weight x -sum y log softmax(z), in nats.

    Args:
        heads: of the run.
        targets, logits: float32 [batch, classes of all heads]; the targets get no gradient.

    Returns:
        float32 [batch].
    """
    targets = tf.stop_gradient(targets)
    return tf.add_n(
        [
            head.weight
            * tf.nn.softmax_cross_entropy_with_logits_v2(
                labels=targets[:, head.columns], logits=logits[:, head.columns]
            )
            for head in heads
        ]
    )


def smoothed_share(heads: Heads) -> Any:
    """Return what label smoothing adds to each class, 1 / classes of its head, float32."""
    return np.concatenate(
        [np.full(head.num_classes, 1 / head.num_classes, np.float32) for head in heads]
    )


def probabilities_of_heads(heads: Heads, logits: Any) -> Any:
    """Return the softmax of each head, float32 [batch, classes of all heads]."""
    return tf.concat(
        [tf.nn.softmax(logits[:, head.columns]) for head in heads], axis=1, name="probabilities"
    )


def are_correct(heads: Heads, truth: Any, logits: Any) -> Any:
    """Return whether the class of each head is right, bool [batch, heads]."""
    pairs = [(truth[:, head.columns], logits[:, head.columns]) for head in heads]
    return tf.stack([tf.equal(tf.argmax(y, axis=1), tf.argmax(z, axis=1)) for y, z in pairs], 1)


def parted(heads: Heads, labels: Any, logits: Any, *, one_hot: bool) -> tuple[Any, Any]:
    """Return labels and logits of each head by its name, as the user's functions get them.

    Args:
        heads: of the run.
        labels, logits: float32 [batch, classes of all heads].
        one_hot: whether the labels stay float32 [batch, classes of the head]; else they are int64
            [batch].
    """
    own = {head.name: labels[:, head.columns] for head in heads}
    if not one_hot:
        own = {name: tf.argmax(rows, axis=1) for name, rows in own.items()}
    return own, {head.name: logits[:, head.columns] for head in heads}
