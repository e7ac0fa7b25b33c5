"""The tower: one copy of the network in a graph, and what its layers need while it is built.

A model function is `(images, num_classes, *, training) -> logits`. What else a layer needs comes
from the tower that is being built: stable names, random keys that depend on nothing but (seed,
step, purpose), and a place to record outputs and penalties.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple, Self

from cnnlab.base.errors import CnnlabError
from cnnlab.base.randomness import StepKeys, derive_seed
from cnnlab.base.tf1 import tf

_current: ContextVar[Tower] = ContextVar("tower")

FROZEN = "frozen"  # collection of variables that are filled once, so that they need no average
DenseProducts = Literal["plain", "turned", "uneven"]


class LayerDefaults(NamedTuple):
    """What a run's options say of all layers; see the options of the same names.

    kernel_initializer: name of the initializer of every kernel, in place of the model's own.
    kernel_stddev: of the initializers normal and truncated_normal.
    activation: name of the activation of every layer that has one, in place of the model's own.
    l1, l2: penalties on every kernel that has no regularizer of its own.
    """

    kernel_initializer: str | None = None
    kernel_stddev: float = 0.01
    activation: str | None = None
    l1: float = 0.0
    l2: float = 0.0

    @classmethod
    def of(cls, options: Any) -> Self:
        """Return the defaults that a run's options give; options: has these attributes."""
        return cls(*(getattr(options, name) for name in cls._fields))


class Tower(StepKeys):
    """One tower under construction.

    Attributes:
        seed: the run's seed.
        step: int64 scalar tensor, the step whose randomness is drawn; None in an inference tower.
        batch_size: images that go through it at a time, as configured; None in an inference tower.
        defaults: what the options say of all layers.
        average: "ema" or "lookahead": the tower computes with these averages of the weights; None:
            with the weights themselves.
        as_written: whether layers are computed in the order in which the model has them, though
            another gives the same logits sooner; for gradients by a layer's output.
        fast_kernels: whether `cnnlab.layers.kernels.convolution` may choose how convolutions are
            computed, and `cnnlab.layers.kernels.batch_norm` compute batch norm by convolutions.
        precision: of convolutions and dense products: float32, bfloat16 or float16.
        dense_products: how dense layers multiply, see `cnnlab.layers.kernels.dense`: as TensorFlow
        does
            (plain), turned round for XLA (turned), or for oneDNN from uneven rows where that is
            faster (uneven).
        data_format: channels_last or channels_first, how images lie between its layers.
        activations: name to output of each layer, in order.
        features: what the last layer with weights takes in, float32 [batch, ...]; None without one.
        penalties: scalar regularization losses of this tower's weights.
        data_starts: the variables that start from training images; of an inference tower.
    """

    def __init__(
        self,
        seed: int,
        step: Any = None,
        *,
        batch_size: int | None = None,
        defaults: LayerDefaults | None = None,
        average: str | None = None,
        as_written: bool = False,
        fast_kernels: bool = False,
        precision: str = "float32",
        dense_products: DenseProducts = "plain",
    ) -> None:
        super().__init__(seed, step)
        self.batch_size = batch_size
        self.defaults = defaults or LayerDefaults()
        self.average = average
        self.as_written = as_written
        self.fast_kernels = fast_kernels
        self.precision = precision
        self.dense_products = dense_products
        self.data_format = "channels_last"
        self.activations: dict[str, Any] = {}
        self.features: Any = None
        self.penalties: list[Any] = []
        self.data_starts: list[Any] = []


@contextmanager
def building(tower: Tower) -> Iterator[Tower]:
    """Make `tower` the current one, and seed every variable made inside by its name."""
    token = _current.set(tower)
    try:
        # The scope is for ops alone: variables keep their names, which checkpoints have.
        with (
            tf.name_scope("model"),
            tf.variable_scope(
                tf.get_variable_scope(), reuse=tf.AUTO_REUSE, custom_getter=_getter_of(tower)
            ),
        ):
            yield tower
    finally:
        _current.reset(token)


def current() -> Tower:
    """The tower being built.

    Raises:
        CnnlabError: no tower is being built.
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
        CnnlabError: no training tower is being built.
    """
    return current().random_key(purpose)


def is_training() -> bool:
    """Whether a training tower is being built."""
    tower = _current.get(None)
    return tower is not None and tower.step is not None


def average_name(average: str, name: str) -> str:
    """What the average of the variable `name` is called."""
    return f"{average}/{name}"


def _getter_of(tower: Tower) -> Any:
    seeded = _seeded_getter(tower.seed)
    if tower.average is None:
        return seeded
    average = tower.average

    def averaged(getter: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """The variable's average in its stead; the variable is made too, and both start equal."""
        live = seeded(getter, name, *args, **kwargs)
        if FROZEN in (kwargs.get("collections") or ()):
            return live
        kwargs.update(shape=None, initializer=live.initial_value, trainable=False)
        kwargs.update(regularizer=None, partitioner=None)
        return getter(average_name(average, name), **kwargs)

    return averaged


def _seeded_getter(seed: int) -> Any:
    """A variable getter that gives each initializer a seed made from the variable's name.

    The legacy layers' default initializer draws from an unseeded generator once TensorFlow 2's
    behaviour is on. By name, because adding a layer then leaves the other layers' start as it was.
    """

    def seeded(getter: Any, name: str, *args: Any, initializer: Any = None, **kwargs: Any) -> Any:
        if initializer is None and tf.as_dtype(kwargs.get("dtype") or tf.float32).is_floating:
            initializer = tf.glorot_uniform_initializer()
        config = initializer.get_config() if hasattr(initializer, "get_config") else {}
        if "seed" in config and config["seed"] is None:
            config["seed"] = derive_seed(seed, f"variable/{name}")
            initializer = type(initializer).from_config(config)
        return getter(name, *args, initializer=initializer, **kwargs)

    return seeded
