"""What a program's `tf.data` pipeline does to the images before the network reads them."""

from __future__ import annotations

import ast
from dataclasses import replace

from cnnlab.port.constant_values import KnownArray
from cnnlab.port.full_names import argument, calls_of_methods, dotted
from cnnlab.port.story import Story

_SCALES = ("255", "convert_image_dtype")  # in the text of a function: its images are 0 to 1


def after_maps(story: Story, images: KnownArray, notes: list[tuple[int, str]]) -> KnownArray:
    """Return the images as `Dataset.map` leaves them, and note that the rest of it is left out."""
    functions = {
        item.node.name: item.node for item in story.items if isinstance(item.node, ast.FunctionDef)
    }
    for item in story.items:
        for call in () if item.is_function else calls_of_methods(item.node, "map"):
            mapped = argument(call, 0, "map_func")
            name = dotted(mapped) if mapped is not None else None
            function = functions.get(name or "", mapped)
            if function is None:
                continue
            if any(word in ast.unparse(function) for word in _SCALES):
                images = replace(images, low=0.0, high=1.0)
            what = f"{name}()" if name else "the function"
            text = f"what {what} of Dataset.map does is left out: see scaling= and augment="
            notes.append((call.lineno, text))
    return images
