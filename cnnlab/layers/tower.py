"""The tower: one copy of the network in a graph, while it is built.

A model function is `(images, num_classes, *, training) -> logits`. The layers get everything else
from the tower: stable names and random keys that depend only on (seed, step, purpose). The tower
also records their outputs and penalties.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from cnnlab.base.errors import CnnlabError
from cnnlab.base.randomness import StepKeys
from cnnlab.base.tf1 import tf
from cnnlab.layers.kernels.choice import PLAIN, Kernels
from cnnlab.layers.kernels.sync_batch_norm import Channel
from cnnlab.layers.legacy import watch_legacy_layers
from cnnlab.layers.variables import LayerDefaults, Variables

_current: ContextVar[Tower] = ContextVar("tower")


class Head(NamedTuple):
    """The last layers of a network, which turn its features into logits.

    Attributes:
        features: float32 [batch, features], what enters the head.
        dense_units: the number of outputs of each hidden dense layer.
        dropout: the fraction of elements to drop after each of them.
        last: the options of the model `last_layer` that is this head; None: it is `feature_head`.
    """

    features: Any
    dense_units: tuple[int, ...]
    dropout: float
    last: dict[str, Any] | None = None


class WeightedLayer(NamedTuple):
    """A layer with a kernel.

    Attributes:
        kind: as "conv2d".
        scope: of its variables.
        inputs, outputs: float32 [batch, ...].
        use_bias: whether it has a bias.
        is_plain: whether it has neither an activation nor a regularizer.
    """

    kind: str
    scope: str
    inputs: Any
    outputs: Any
    use_bias: bool
    is_plain: bool


class Dropped(NamedTuple):
    """A dropout layer.

    Attributes:
        name: its full name.
        rate: the fraction of elements to drop.
        outputs: float32 [batch, ...]; in inference they are the layer's inputs.
    """

    name: str
    rate: float
    outputs: Any


class Tower(StepKeys):
    """One copy of the network under construction.

    Attributes:
        seed: the run's seed.
        step: int64 scalar tensor, the step whose random numbers are drawn; None in inference.
        defaults: what the options say of all layers.
        average: "ema" or "lookahead": compute with these averages of the weights; None: with the
            weights themselves.
        precision: of convolutions and dense products: float32, bfloat16 or float16.
        kernels: how layers are computed; see `cnnlab.layers.kernels.choice`.
        data_format: channels_last or channels_first, the layout of images between the layers.
        activations: name to output of each layer, in order.
        weighted: the last layer with a kernel so far; None without one.
        dropped: the last dropout so far that only has a rate; None without one.
        head: the head of the network; None if it is not known.
        training_only: name of a layer's output to settings that only training uses: the rate of
            dropout, the momentum of batch norm. Inference graphs as written have the former.
        variables: makes the variables, and knows their regularizers.
        penalties: float32 scalars that training adds to the loss, complete when the tower is built.
        new_channel: returns the way to the other workers of one more batch norm; None: it sees this
            worker's images only.
        data_starts: in inference, the variables that start from training images.
    """

    def __init__(
        self,
        seed: int,
        step: Any = None,
        *,
        defaults: LayerDefaults | None = None,
        average: str | None = None,
        precision: str = "float32",
        kernels: Kernels = PLAIN,
        new_channel: Callable[[], Channel | None] = lambda: None,
    ) -> None:
        super().__init__(seed, step)
        self.defaults = defaults or LayerDefaults()
        self.average = average
        self.precision = precision
        self.kernels = kernels
        self.new_channel = new_channel
        self.data_format = "channels_last"
        self.activations: dict[str, Any] = {}
        self.weighted: WeightedLayer | None = None
        self.dropped: Dropped | None = None
        self.head: Head | None = None
        self.training_only: dict[str, dict[str, Any]] = {}
        self.variables = Variables(seed, average, self.defaults)
        self.data_starts: list[Any] = []

    def layer_name(self, name: str | None, kind: str = "", reuse: Any = None) -> tuple[str, str]:
        """Return the name of a new layer within the variable scope, and its full name.

        Layers that share variables, by `reuse` or by the variable scope, have one name, and a full
        name each.

        Args:
            name: the name that the model gives the layer.
            kind: the name of a layer without a name.
            reuse: True, `tf.AUTO_REUSE`, or None.

        Raises:
            CnnlabError: there is no layer to share variables with.
        """
        scope = tf.get_variable_scope()
        prefix = f"{scope.name}/" if scope.name else ""
        reuse = reuse or scope.reuse
        if reuse and name is not None and self.is_taken(prefix + name):
            return name, self.unique_name(prefix + name)
        if reuse is True:
            raise CnnlabError(
                f"reuse=True: there is no earlier layer {prefix}{name or kind} to share variables "
                "with; give both layers the same name"
            )
        full_name = self.unique_name(prefix + (name or kind))
        return full_name.removeprefix(prefix), full_name

    @property
    def features(self) -> Any:
        """The input of the last layer with a kernel, float32 [batch, ...]; None without one."""
        return None if self.weighted is None else self.weighted.inputs

    @property
    def penalties(self) -> list[Any]:
        return self.variables.penalties.made

    @property
    def own_regularizers(self) -> list[str]:
        """The names of the kernels for which the model sets a regularizer."""
        return self.variables.penalties.own

    @property
    def scope(self) -> str:
        """The name scope of the tower's operations."""
        return self.variables.op_scope


@contextmanager
def building(tower: Tower) -> Iterator[Tower]:
    """Make `tower` the current one, which makes every variable inside."""
    watch_legacy_layers(_penalties)
    token = _current.set(tower)
    try:
        # Only ops get this scope. Variables keep their names, which are in checkpoints.
        with tf.name_scope("model"), tower.variables.made_here():
            yield tower
    finally:
        _current.reset(token)


def _penalties() -> Any:
    """Return the `Penalties` of the tower that is being built; None if there is none."""
    tower = _current.get(None)
    return None if tower is None else tower.variables.penalties


def current() -> Tower:
    """Return the tower that is being built.

    Raises:
        CnnlabError: none is being built.
    """
    try:
        return _current.get()
    except LookupError:
        raise CnnlabError("cnnlab.layers are for use inside a model function of Train") from None


def random_key(purpose: str) -> Any:
    """Return int64 [2], the seed of a stateless random op in the training step that is being built.

    It depends on the run's seed, the step and the purpose only, so that a run can be stopped and
    resumed exactly.

    Raises:
        CnnlabError: no network is being built for training.
    """
    return current().random_key(purpose)


def inference_kernels(*, is_fast: bool) -> Kernels:
    """Return the choice of kernels for inference; is_fast: see `Kernels`."""
    return Kernels(is_fast=is_fast)


def is_training() -> bool:
    """Return whether a network is being built for training."""
    tower = _current.get(None)
    return tower is not None and tower.step is not None


def is_as_written() -> bool:
    """Return whether a network is being built with TensorFlow's own kernels, as for export."""
    tower = _current.get(None)
    return tower is not None and not tower.kernels.is_fast
