"""Parts: the functions that a run's graph is built from, cnnlab's or the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.base.user_code import place_of, user_code
from cnnlab.config.arguments import check
from cnnlab.config.config import Config
from cnnlab.config.references import references_in
from cnnlab.graph.heads import WeightedHead, join_logits
from cnnlab.graph.one_unit import logits_of_both
from cnnlab.graph.small_images import naming_small_images
from cnnlab.layers import tower as towers
from cnnlab.layers.last_layer import head_of_last_layer
from cnnlab.models import MODELS, ModelFunction, find_model

OwnFunctions = Mapping[str, Callable[..., Any]]  # by option; see `own_names`


class Parts(NamedTuple):
    """The functions that a run's graph is built from.

    model: function (images, num_classes, *, training, **model_options) -> logits.
    model_options: the options given for the model, checked; its defaults apply to the rest.
    loss: the user's function (labels, logits) -> losses; None: the option names one of cnnlab's.
    optimizer: the user's function (learning_rate) -> `tf.train.Optimizer`, or None.
    schedule: the user's function (step) -> learning rate, or None.
    metrics: name to the user's function (labels, logits) -> figures.
    augmentations: position in `augment` to the user's function (images, key) -> images.
    has_one_unit: whether the model has one output for two classes; see `cnnlab.graph.one_unit`.
    heads: those of the data, of which the model returns the logits; see `cnnlab.graph.heads`.
    """

    model: ModelFunction
    model_options: Mapping[str, Any] = {}
    loss: Callable[..., Any] | None = None
    optimizer: Callable[..., Any] | None = None
    schedule: Callable[..., Any] | None = None
    metrics: Mapping[str, Callable[..., Any]] = {}
    augmentations: Mapping[int, Callable[..., Any]] = {}
    has_one_unit: bool = False
    heads: tuple[WeightedHead, ...] = ()

    @classmethod
    def of(cls, config: Config, own: OwnFunctions | None = None) -> Self:
        """Find the functions that the options name.

        Args:
            config: the run's options.
            own: the user's functions. Those that are missing stay None.

        Raises:
            UsageError: an option names no function, or an option of the model is wrong.
        """
        own = own or {}
        model = own.get("model") or find_model(config.model)
        checked = check(model, config.model_options, "--model_options: the model")
        metrics = {name: own.get(f"metrics.{name}") for name in config.metrics}
        positions = [position for position, _ in references_in(config.augment)]
        augmentations = {position: own.get(f"augment.{position}") for position in positions}
        return cls(
            model,
            {name: checked[name] for name in config.model_options},
            own.get("loss"),
            own.get("optimizer"),
            own.get("schedule"),
            {name: function for name, function in metrics.items() if function is not None},
            {place: function for place, function in augmentations.items() if function is not None},
            config.has_one_unit,
        )

    def with_channels_last(self) -> Self:
        """Return the parts of the same network with channels last, which any machine computes.

        The user's own models are not changed, because their data_format may mean something else.
        """
        if "data_format" not in self.model_options or self.model not in MODELS.values():
            return self
        options = {**self.model_options, "data_format": "channels_last"}
        return self._replace(model_options=options)

    def takes(self, name: str) -> bool:
        """Return whether the model has a parameter of this name."""
        return name in inspect.signature(self.model).parameters

    def build_logits(
        self, images: Any, num_classes: int, *, training: bool, labels: Any = None
    ) -> Any:
        """Add the network to the tower that is being built; return its logits.

        Args:
            images: float32 [batch, height, width, channels].
            num_classes: number of classes, of all heads together; a model with one unit is asked
                for one output.
            training: whether the network is for training.
            labels: in training, those of the batch: int64 [batch]; or float32 [batch, num_classes],
                if they are mixed or no classes. For a model that has this parameter.

        Returns:
            float32 [batch, num_classes].

        Raises:
            CnnlabError: the user's model fails, or returns no logits. The message begins with the
                user's line.
        """
        num_outputs = 1 if self.has_one_unit else num_classes
        given = {"training": training, **self.model_options}
        if self.takes("labels"):
            given["labels"] = labels
        if self.takes("head_sizes"):
            given["head_sizes"] = {head.name: head.num_classes for head in self.heads}
        with user_code(), naming_small_images(images):
            logits = self.model(images, num_outputs, **given)
        logits = join_logits(self.heads, logits, self.model)
        _check_logits(logits, num_outputs, self.model)
        tower = towers.current()
        if not training and tower.head is None:
            tower.head = head_of_last_layer(tower, logits)
        return logits_of_both(logits) if self.has_one_unit else logits


def check_variables(known: set[str]) -> None:
    """Refuse a model that makes other variables in training than in inference.

    Raises:
        CnnlabError: inference would compute with variables that are never trained.
    """
    names = [variable.op.name for variable in tf.global_variables()]
    if new := [name for name in names if name not in known]:
        raise CnnlabError(
            f"in training the model makes variables that inference does not use: {', '.join(new)}; "
            "make the same layers with the same names in both, by cnnlab.layers or tf.get_variable "
            "(a Keras layer makes new variables at every call)"
        )


def _check_logits(logits: Any, num_classes: int, model: ModelFunction) -> None:
    """Refuse what is not logits, float32 [batch, num_classes].

    Raises:
        CnnlabError: the model's place, and what it returned.
    """
    if logits is None:
        returned = "None (is there a return at its end?)"
    elif isinstance(logits, (tuple, list)):
        returned = f"a {type(logits).__name__} of {len(logits)}, not the logits alone"
    elif not tf.is_tensor(logits):
        returned = f"an object of the type {type(logits).__name__}"
    elif logits.shape.rank != 2 or logits.shape[1] != num_classes:
        returned = str(logits.shape)
    elif logits.dtype != tf.float32:
        returned = f"{logits.dtype.name} (see tf.cast)"
    else:
        return
    raise CnnlabError(
        f"{place_of(model)} returned {returned}; a model must return logits [batch, {num_classes}],"
        " float32"
    )
