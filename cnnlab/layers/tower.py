"""The tower: one copy of the network in a graph, while it is built.

A model function is `(images, num_classes, *, training) -> logits`. The layers get everything else
from the tower: stable names and random keys that depend only on (seed, step, purpose). The tower
also records their outputs and penalties.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Self

from cnnlab.base.errors import CnnlabError
from cnnlab.base.randomness import StepKeys, derive_seed
from cnnlab.base.tf1 import tf
from cnnlab.layers.kernels.choice import PLAIN, Kernels

_current: ContextVar[Tower] = ContextVar("tower")

FROZEN = "frozen"  # collection of variables that are filled once and need no average


class LayerDefaults(NamedTuple):
    """The options that apply to all layers; see the options of the same names.

    kernel_initializer: name of the initializer of every kernel, instead of the model's own.
    kernel_stddev: of the initializers normal and truncated_normal.
    activation: name of the activation of every layer that has one, instead of the model's own.
    l1, l2: penalties on every kernel for which the model sets no regularizer.
    """

    kernel_initializer: str | None = None
    kernel_stddev: float = 0.01
    activation: str | None = None
    l1: float = 0.0
    l2: float = 0.0

    @classmethod
    def of(cls, options: Any) -> Self:
        """Return the defaults from a run's options, which have attributes of these names."""
        return cls(*(getattr(options, name) for name in cls._fields))


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
        features: input of the last layer with weights, float32 [batch, ...]; None without one.
        penalties: scalar regularization losses of the weights.
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
    ) -> None:
        super().__init__(seed, step)
        self.defaults = defaults or LayerDefaults()
        self.average = average
        self.precision = precision
        self.kernels = kernels
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
        # Only ops get this scope. Variables keep their names, which are in checkpoints.
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


def average_name(average: str, name: str) -> str:
    """Return the name of the average of the variable `name`."""
    return f"{average}/{name}"


def _getter_of(tower: Tower) -> Any:
    seeded = _seeded_getter(tower.seed)
    if tower.average is None:
        return seeded
    average = tower.average

    def averaged(getter: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """Make a variable and its average with the same initial value; return the average."""
        live = seeded(getter, name, *args, **kwargs)
        if FROZEN in (kwargs.get("collections") or ()):
            return live
        kwargs.update(shape=None, initializer=live.initial_value, trainable=False)
        kwargs.update(regularizer=None, partitioner=None)
        return getter(average_name(average, name), **kwargs)

    return averaged


def _seeded_getter(seed: int) -> Any:
    """Return a variable getter that seeds each initializer by the variable's name.

    The legacy layers' default initializer draws from an unseeded generator once TensorFlow 2's
    behaviour is on. The seed depends on the name, so adding a layer does not change the start of
    the other layers.
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
