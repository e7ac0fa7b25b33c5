"""Names of Python, NumPy and SciPy that programs of that time use and that are gone today."""

from __future__ import annotations

import collections
import collections.abc
import fractions
import inspect
import math
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from cnnlab.run_tf1.noted import stands_in

_NUMPY: Final[dict[str, Any]] = {
    "float": float,
    "int": int,
    "bool": np.bool_,
    "object": object,
    "str": str,
    "unicode": str,
    "long": int,
    "complex": complex,
    "float_": np.float64,
    "complex_": np.complex128,
    "unicode_": np.str_,
    "string_": np.bytes_,
    "Inf": np.inf,
    "PINF": np.inf,
    "NINF": -np.inf,
    "infty": np.inf,
    "NaN": np.nan,
    "product": np.prod,
    "cumproduct": np.cumprod,
    "sometrue": np.any,
    "alltrue": np.all,
    "round_": np.round,
    "row_stack": np.vstack,
    "in1d": np.isin,
    "asscalar": lambda array: array.item(),
}


def restore_python_names() -> None:
    """Give Python's and NumPy's modules the names back that they have lost since."""
    for name, value in _NUMPY.items():
        if name not in vars(np):
            setattr(np, name, value)
    vars(np.lib).setdefault("pad", np.pad)  # as programs that cut crops out of CIFAR write it
    vars(np)["fromstring"] = _fromstring
    vars(np)["reshape"] = _reshape
    for name in collections.abc.__all__:
        if not hasattr(collections, name):
            setattr(collections, name, getattr(collections.abc, name))
    for module, name, value in (
        (time, "clock", time.perf_counter),
        (inspect, "getargspec", _getargspec),
        (fractions, "gcd", math.gcd),
    ):
        if not hasattr(module, name):
            setattr(module, name, _noting(f"{module.__name__}.{name}", value))


def _noting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def noting(*args: Any, **kwargs: Any) -> Any:
        stands_in(name, getattr(function, "__name__", "").lstrip("_"))
        return function(*args, **kwargs)

    return noting


def _getargspec(function: Any) -> Any:
    spec = inspect.getfullargspec(function)
    return _ArgSpec(spec.args, spec.varargs, spec.varkw, spec.defaults)


class _ArgSpec(NamedTuple):
    args: Any
    varargs: Any
    keywords: Any
    defaults: Any


_numpy_fromstring: Any = np.fromstring


def _fromstring(
    string: Any, dtype: Any = float, count: int = -1, sep: str = "", **more: Any
) -> Any:
    """Read numbers from text; or, as NumPy did, from bytes, as a copy."""
    if sep == "":
        data = string.encode("latin-1") if isinstance(string, str) else string
        return np.frombuffer(data, dtype, count).copy()
    return _numpy_fromstring(string, dtype, count, sep=sep, **more)


_numpy_reshape: Any = np.reshape


def _reshape(a: Any, shape: Any = None, order: Any = "C", **more: Any) -> Any:
    """Call `np.reshape`, whose argument shape was named newshape."""
    return _numpy_reshape(a, more.pop("newshape", shape), order, **more)


# scipy.misc's functions for images, which SciPy removed.


def names_of_scipy_misc() -> dict[str, Any]:
    """Return the functions of scipy.misc that read, resize and write images."""
    return {"imread": imread, "imsave": imsave, "imresize": imresize, "toimage": toimage}


def imread(name: Any, flatten: bool = False, mode: str | None = None) -> Any:
    """Return an image file as uint8 [height, width, channels], or float32 grey values."""
    from PIL import Image

    with Image.open(name) as image:
        if flatten:
            return np.asarray(image.convert("F"))
        return np.asarray(image.convert(mode) if mode else image)


def toimage(arr: Any, high: int = 255, low: int = 0, cmin: Any = None, cmax: Any = None) -> Any:
    """Return an array as an image of PIL; other types than uint8 are scaled to 0 to 255."""
    from PIL import Image

    array = np.asarray(arr)
    if array.dtype != np.uint8:
        least = float(array.min()) if cmin is None else cmin
        most = float(array.max()) if cmax is None else cmax
        scale = (high - low) / ((most - least) or 1.0)
        array = ((array - least) * scale + low).clip(low, high).round().astype(np.uint8)
    if array.ndim == 3 and array.shape[2] not in (3, 4) and array.shape[0] in (3, 4):
        array = array.transpose(1, 2, 0)
    return Image.fromarray(array)


def imsave(name: Any, arr: Any, format: str | None = None) -> None:
    """Write an array as an image file."""
    toimage(arr).save(name, format)


def imresize(arr: Any, size: Any, interp: str = "bilinear", mode: str | None = None) -> Any:
    """Return an image in another size: a percentage (int), a factor, or (height, width)."""
    from PIL import Image

    image = toimage(arr)
    if isinstance(size, int | np.integer):
        size = size / 100.0
    if isinstance(size, float):
        wanted = (int(image.width * size), int(image.height * size))
    else:
        wanted = (int(size[1]), int(size[0]))
    kind = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "cubic": 3}[interp]
    return np.asarray(image.resize(wanted, Image.Resampling(kind)))
