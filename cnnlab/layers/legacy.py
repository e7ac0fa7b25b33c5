"""The layers of `tf.layers` itself, when a model uses them directly.

They make the penalty of a weight only where they make the weight, which is in inference. So here
they pass its regularizer to the tower. Outside a tower they work as before.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, Final

_MODULE: Final = "tf_keras.src.legacy_tf_layers.base"


def watch_legacy_layers(find_penalties: Callable[[], Any]) -> None:
    """Let the legacy layers pass their regularizers on, if this process has imported them.

    Args:
        find_penalties: returns the `Penalties` of the tower that is being built; None without one.
    """
    if _MODULE in sys.modules:
        _watch(find_penalties)


@functools.cache
def _watch(find_penalties: Callable[[], Any]) -> None:
    layer_class = vars(sys.modules[_MODULE])["Layer"]
    add_weight = layer_class.add_weight

    @functools.wraps(add_weight)
    def passing_on(layer: Any, name: str, shape: Any, *args: Any, **kwargs: Any) -> Any:
        penalties = find_penalties()
        if penalties is None:
            return add_weight(layer, name, shape, *args, **kwargs)
        regularizer = kwargs.pop("regularizer", None)
        variable = add_weight(layer, name, shape, *args, **kwargs)
        penalties.add(variable, regularizer)
        return variable

    layer_class.add_weight = passing_on
