"""The penalties of a tower: what training adds to the loss, each once.

TensorFlow 1 makes the penalty of a variable when the variable is made. Here that is in the
inference graph, where a penalty has no effect on training. So each tower makes the penalties of all
its variables itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import keras_regularizers, tf
from cnnlab.layers.regularizers import l1_l2

Regularizer = Callable[[Any], Any]


class Penalties:
    """The penalties of one tower.

    They are what the model adds to the collections REGULARIZATION_LOSSES and LOSSES, for example by
    `tf.losses.add_loss`, and those of its variables. A variable's own regularizer counts. Kernels
    without one get the penalty of the options l1 and l2. A kernel is a trainable variable of
    floating-point numbers with two or more dimensions.

    Attributes:
        made: float32 scalars, complete when the tower is built.
        own: names of the kernels that have regularizers of their own.
    """

    def __init__(self, l1: float, l2: float) -> None:
        self.made: list[Any] = []
        self._of_options = l1_l2(l1, l2)
        self._regularized: dict[str, tuple[Any, Regularizer | None]] = {}

    @property
    def own(self) -> list[str]:
        return [
            variable.op.name
            for variable, regularizer in self._regularized.values()
            if regularizer is not None and is_kernel(variable)
        ]

    def add(self, variable: Any, regularizer: Any) -> None:
        """Note a variable of this tower. If it is noted again, its first regularizer counts.

        Args:
            variable: a `tf.Variable`.
            regularizer: a function from a tensor to its penalty, a name that Keras knows, or None.
        """
        if regularizer is not None and not callable(regularizer):
            regularizer = keras_regularizers.get(regularizer)
        _, earlier = self._regularized.get(variable.name, (variable, None))
        self._regularized[variable.name] = (variable, earlier or regularizer)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """At the end of the block, make and gather the penalties of what was built inside.

        Raises:
            CnnlabError: a penalty is no scalar, or is of a branch or a loop in the model.
        """
        before = _collected()
        yield
        added = _collected()
        self.made += [_checked(added[key]) for key in added if key not in before]
        for variable, regularizer in self._regularized.values():
            if regularizer is None and is_kernel(variable):
                regularizer = self._of_options
            penalty = None if regularizer is None else regularizer(variable)
            if penalty is not None:
                tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, penalty)
                self.made.append(_checked(penalty))


def is_kernel(variable: Any) -> bool:
    """Return whether a variable is trainable, of floating-point numbers, and has two dimensions.

    More dimensions count, too.
    """
    return bool(
        variable.trainable and variable.dtype.is_floating and (variable.shape.rank or 0) >= 2
    )


def _collected() -> dict[int, Any]:
    """Return the members of the collections by their ids, each once. A tensor has no hash."""
    keys = (tf.GraphKeys.REGULARIZATION_LOSSES, tf.GraphKeys.LOSSES)
    return {id(member): member for key in keys for member in tf.get_collection(key)}


def _checked(penalty: Any) -> Any:
    """Return a penalty as a float32 scalar."""
    graph = getattr(penalty, "graph", tf.get_default_graph())
    if graph is not tf.get_default_graph():
        raise CnnlabError(
            f"the penalty {penalty.name} is made within a branch or a loop of the model, where the "
            "loss cannot read it; add it outside"
        )
    penalty = tf.convert_to_tensor(penalty)
    if penalty.shape.rank != 0:
        raise CnnlabError(
            f"the penalty {penalty.name} has the shape {penalty.shape}; it must be a scalar, as "
            "from tf.reduce_sum"
        )
    return tf.cast(penalty, tf.float32)
