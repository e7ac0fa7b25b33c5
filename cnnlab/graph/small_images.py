"""Images that are too small for a network: which layer they do not reach."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from cnnlab.base.errors import CnnlabError

# How TensorFlow and its Keras layers say that a window is larger than what it is moved over.
_NODE: Final = re.compile(r"Negative dimension .*?\{\{node (\S+?)\}\}.*?input shapes: \[(.*?)\]")
_LAYER: Final = re.compile(r"dimensions in the output is <= 0 .*? in (\S+?)\. .*?shape \[(.*?)\]")


@contextmanager
def naming_small_images(images: Any) -> Iterator[None]:
    """Translate TensorFlow's error about a window that is larger than its images.

    Args:
        images: [batch, height, width, channels], the input of the network that the block builds.

    Raises:
        CnnlabError: the layer, the size of its input, and what to do.
    """
    try:
        yield
    except ValueError as error:
        text = " ".join(str(error).split())
        found = _NODE.search(text) or _LAYER.search(text)
        if found is None:
            raise
        height, width = images.shape[1:3].as_list()
        raise CnnlabError(
            f"images of {height}x{width} are too small for the model: its layer "
            f"{_layer_name(found[1])} gets {_size_of(found[2], text)}; use larger images, other "
            "--model_options or another model"
        ) from error


def _layer_name(node: str) -> str:
    """Return the name of the layer that has a node, such as conv1 of model/conv1/Conv2D."""
    return node.removeprefix("model/").rpartition("/")[0] or node  # a Keras layer is no node


def _size_of(shape: str, text: str) -> str:
    """Return height and width, such as 2x2 of "?,2,2,64"."""
    sizes = [size.strip() for size in shape.split(",")]
    return "x".join(sizes[2:4] if 'data_format="NCHW"' in text else sizes[1:3])
