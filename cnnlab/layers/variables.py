"""The variables of a tower: how they are shared, named, started and averaged.

A model is built several times, and all copies share their variables. This holds for the variables
of layers and of `tf.get_variable`, which TensorFlow finds by their names. It holds for
`tf.Variable` too: each call makes a variable in the first copy, and returns the same one in the
others.

The start of a variable depends only on the run's seed and the variable's name. So adding a layer
does not change the start of the others.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

from cnnlab.base.errors import CnnlabError
from cnnlab.base.randomness import derive_seed
from cnnlab.base.surroundings import GRAPH_SEED, has_seed
from cnnlab.base.tf1 import tf
from cnnlab.layers.initializers import find_initializer
from cnnlab.layers.penalties import Penalties

FROZEN: Final = "frozen"  # collection of variables that are filled once and need no average
HELD: Final = "held"  # collection of variables that would be trained, but for an option


class LayerDefaults(NamedTuple):
    """The options that apply to all layers; see the options of the same names.

    kernel_initializer: name of the initializer of every kernel, instead of the model's own.
    kernel_stddev: of the initializers normal and truncated_normal.
    activation: name of the activation of every layer that has one, instead of the model's own.
    l1, l2: penalties on every kernel for which the model sets no regularizer.
    trainable: pattern of the names of the variables that are trained; None: all.
    parameter_groups: pattern to settings of an update, of which `from` counts here.
    micro_batches: number of parts of a batch, each with keys of its own.
    """

    kernel_initializer: str | None = None
    kernel_stddev: float = 0.01
    activation: str | None = None
    l1: float = 0.0
    l2: float = 0.0
    trainable: str | None = None
    parameter_groups: Mapping[str, Any] = MappingProxyType({})
    micro_batches: int = 1

    def freezes(self, name: str) -> bool:
        """Return whether the options freeze the variable of this name."""
        return self.trainable is not None and not re.search(self.trainable, name)

    @classmethod
    def of(cls, options: Any) -> Self:
        """Return the defaults from a run's options, which have attributes of these names."""
        return cls(*(getattr(options, name) for name in cls._fields))


def average_name(average: str, name: str) -> str:
    """Return the name of the average of the variable `name`."""
    return f"{average}/{name}"


class Variables:
    """What a tower does when its model asks for a variable.

    Attributes:
        penalties: those of the variables, and the model's own.
        op_scope: name scope of the tower's operations.
    """

    def __init__(self, seed: int, average: str | None, defaults: LayerDefaults) -> None:
        """Take the options.

        Args:
            seed: the run's seed.
            average: "ema" or "lookahead": give these averages instead of the weights; None: the
                weights themselves.
            defaults: the options for all kernels.
        """
        self._seed, self._average, self._defaults = seed, average, defaults
        self.penalties = Penalties(defaults.l1, defaults.l2)
        self._by_get_variable: set[str] = set()
        self._by_variable: set[str] = set()
        self.op_scope = ""
        self._scope: Any = None  # the scope of its variables
        self._is_getting = self._is_creating = False  # within `_get`, within `_create`

    @contextmanager
    def made_here(self) -> Iterator[None]:
        """Make every variable inside the block as this class says, and the penalties at its end."""
        self.op_scope = tf.get_default_graph().get_name_scope()
        with (
            tf.variable_scope(tf.get_variable_scope(), custom_getter=self._get) as self._scope,
            tf.variable_creator_scope(self._create),
            self.penalties.gathered(),
        ):
            yield

    def _get(self, getter: Any, name: str, **kwargs: Any) -> Any:
        """Return the variable that `tf.get_variable` asks for, or its average.

        Raises:
            CnnlabError: the model makes two variables of one name.
        """
        if not self._is_creating:
            self._check_name(name, shares=bool(kwargs.get("reuse")))
        if not kwargs.get("reuse"):
            kwargs["reuse"] = tf.AUTO_REUSE  # another tower may have made it
        kwargs["use_resource"] = True  # the loop of steps cannot update any other kind
        regularizer = kwargs.pop("regularizer", None)
        self._choose_start(name, kwargs)
        is_held = self._defaults.freezes(name) and kwargs.get("trainable") is not False
        if self._defaults.freezes(name):
            kwargs["trainable"] = False
        with self._getting():
            live = getter(name, **kwargs)
        if is_held:
            tf.add_to_collection(HELD, live)
        seed_start(live, self._seed, name)
        self.penalties.add(live, regularizer)
        is_averaged = self._average is not None and live.dtype.is_floating
        if not is_averaged or FROZEN in (kwargs.get("collections") or ()):
            return live
        kwargs.update(shape=None, initializer=live.initial_value, trainable=False, partitioner=None)
        with self._getting():
            return getter(average_name(str(self._average), name), **kwargs)

    @contextmanager
    def _getting(self) -> Iterator[None]:
        """Let TensorFlow make the variables inside the block: it makes them by `tf.Variable`."""
        self._is_getting = True
        try:
            yield
        finally:
            self._is_getting = False

    def _check_name(self, name: str, *, shares: bool) -> None:
        if name in self._by_variable:
            raise CnnlabError(
                f"the model makes {name} by tf.Variable and again by tf.get_variable; use two names"
            )
        if name in self._by_get_variable and not shares:
            raise CnnlabError(
                f"the model makes the variable {name} twice; use two names, or share it within "
                "tf.variable_scope(NAME, reuse=tf.AUTO_REUSE)"
            )
        self._by_get_variable.add(name)

    def _choose_start(self, name: str, kwargs: dict[str, Any]) -> None:
        """Set the initializer, from the options and the variable's name.

        Args:
            name: of the variable.
            kwargs: arguments of `tf.get_variable`, which are changed in place.
        """
        initializer: Any = kwargs.get("initializer")
        dtype, shape = tf.as_dtype(kwargs.get("dtype") or tf.float32), kwargs.get("shape")
        if isinstance(initializer, type):
            initializer = initializer()
        elif initializer is not None and not callable(initializer):
            initializer = tf.convert_to_tensor(initializer)
            dtype, shape = initializer.dtype, initializer.shape if shape is None else shape
        if not (is_floating := dtype.is_floating):
            kwargs["trainable"] = False  # integers have no gradients
        # Trainable with two or more dimensions: a kernel.
        is_kernel = is_floating and kwargs.get("trainable") is not False and _rank(shape) >= 2
        if is_kernel and self._defaults.kernel_initializer is not None:
            initializer = find_initializer(
                self._defaults.kernel_initializer, self._defaults.kernel_stddev
            )
            kwargs.update(shape=shape, dtype=dtype)
        # Without TensorFlow 1's behaviour, the legacy layers' default has no seed.
        if initializer is None and is_floating:
            initializer = tf.glorot_uniform_initializer()
        config = initializer.get_config() if hasattr(initializer, "get_config") else {}
        if "seed" in config and config["seed"] is None:
            config["seed"] = derive_seed(self._seed, f"variable/{name}")
            initializer = type(initializer).from_config(config)
        kwargs["initializer"] = initializer

    def _create(self, next_creator: Any, **kwargs: Any) -> Any:
        """Return the variable of a call of `tf.Variable`: a new one, or that of another tower."""
        if self._is_getting or kwargs.get("variable_def") is not None:
            return next_creator(**kwargs)  # `tf.get_variable` makes its variables in this way
        _refuse_keras()
        name = self._own_name(kwargs.get("name"))
        value = kwargs.get("initial_value")
        value = tf.convert_to_tensor(value() if callable(value) else value, kwargs.get("dtype"))
        names = ("trainable", "collections", "caching_device", "validate_shape", "constraint")
        arguments = {key: kwargs[key] for key in names if kwargs.get(key) is not None}
        self._by_variable.add(name)
        # The body of a loop or function has no initial values: inference, built before, made it.
        is_new = not tf.get_default_graph().building_function
        self._is_creating = True
        try:
            with tf.variable_scope(
                self._scope, reuse=tf.AUTO_REUSE if is_new else True, auxiliary_name_scope=False
            ):
                made = tf.get_variable(name, None, value.dtype, value, **arguments)
            made.initialized_value = functools.partial(_initialized_value, made)
            return made
        except ValueError as error:
            if is_new or "does not exist" not in str(error):
                raise
            raise CnnlabError(
                f"in training the model makes the variable {name}, which inference does not have; "
                "make the same variables in both, in the same order"
            ) from error
        finally:
            self._is_creating = False

    def _own_name(self, name: str | None) -> str:
        """Return TensorFlow 1's name of a `tf.Variable`: with its name scopes, and unique."""
        scope = tf.get_default_graph().get_name_scope().removeprefix(self.op_scope).strip("/")
        first = unique = "/".join(part for part in (scope, name or "Variable") if part)
        count = 0
        while unique in self._by_variable | self._by_get_variable:
            count += 1
            unique = f"{first}_{count}"
        return unique


def seed_start(variable: Any, seed: int, name: str) -> None:
    """Seed the random operations without a seed that a variable starts from.

    `tf.Variable(tf.truncated_normal(shape))` starts as `tf.get_variable` does from an initializer
    without a seed.

    Args:
        variable: it was made just now, or earlier.
        seed: the run's seed.
        name: of the variable.
    """
    count = 0
    for op in _operations_before(variable.initial_value):
        attributes = {attribute.name for attribute in op.op_def.attr}
        if not {"seed", "seed2"} <= attributes or has_seed(op):
            continue
        purpose = f"variable/{name}/{count}" if count else f"variable/{name}"
        for attribute, value in (("seed", GRAPH_SEED), ("seed2", derive_seed(seed, purpose))):
            op._set_attr(attribute, tf.AttrValue(i=value))
        count += 1


def _refuse_keras() -> None:
    """Refuse a variable that a layer of Keras makes.

    Its penalties and the updates of its moving averages are in no collection of the graph, so
    training would leave them out.

    Raises:
        CnnlabError: Keras is between the model and this function.
    """
    frame = sys._getframe(1)
    while frame := frame.f_back:  # type: ignore[assignment]
        module = frame.f_globals.get("__name__", "")
        if module.startswith(("keras.", "tf_keras.")):
            raise CnnlabError(
                "layers of Keras cannot be trained here, because their penalties and moving "
                "averages are not in the graph; use cnnlab.layers, which have the same names as "
                "tf.layers"
            )
        if module.startswith("cnnlab.") and module != __name__:
            return  # the caller of the model


def _initialized_value(variable: Any) -> Any:
    """Return the value of a variable, or its initial value before it is initialized.

    TensorFlow 1 has this method to start a variable from another one.
    """
    if tf.get_default_graph().building_function:  # in training, where all are initialized
        return variable.read_value()
    return tf.cond(
        tf.is_variable_initialized(variable), variable.read_value, lambda: variable.initial_value
    )


def _operations_before(tensor: Any) -> Iterator[Any]:
    """Yield every operation that a tensor is computed from, each once, in a fixed order."""
    seen, left = {tensor.op}, [tensor.op]
    while left:
        op = left.pop()
        yield op
        new = [source.op for source in op.inputs if source.op not in seen]
        seen.update(new)
        left += new


def _rank(shape: Any) -> int:
    """Return the number of dimensions; 0 if it is unknown."""
    return 0 if shape is None else tf.TensorShape(shape).rank or 0
