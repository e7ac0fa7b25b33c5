"""Parts: the functions that a run's graph is built from, cnnlab's or the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from cnnlab.base.user_code import user_code
from cnnlab.config.arguments import check
from cnnlab.config.config import Config
from cnnlab.models import ModelFunction, find_model

OwnFunctions = Mapping[str, Callable[..., Any]]  # by the names that the options have for them


class Parts(NamedTuple):
    """The functions that a run's graph is built from.

    model: function (images, num_classes, *, training, **model_options) -> logits.
    model_options: the options given for the model, checked; its defaults apply to the rest.
    """

    model: ModelFunction
    model_options: Mapping[str, Any] = {}

    @classmethod
    def of(cls, config: Config, own: OwnFunctions | None = None) -> Self:
        """Find the functions that the options name.

        Args:
            config: the run's options.
            own: the user's functions.

        Raises:
            UsageError: an option names no function, or an option of the model is wrong.
        """
        model = (own or {}).get(config.model) or find_model(config.model)
        checked = check(model, config.model_options, "--model_options: the model")
        return cls(model, {name: checked[name] for name in config.model_options})

    def build_logits(self, images: Any, num_classes: int, *, training: bool) -> Any:
        """Add the network to the tower that is being built; return what the model returns.

        Args:
            images: float32 [batch, height, width, channels].
            num_classes: number of classes.
            training: whether the network is for training.

        Raises:
            CnnlabError: the user's model fails. The message begins with the user's line.
        """
        with user_code():
            return self.model(images, num_classes, training=training, **self.model_options)
