"""What matplotlib, SciPy and scikit-learn accepted when programs of TensorFlow 1 were written."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Final

import numpy as np

from cnnlab.run_tf1.after_import import Change
from cnnlab.run_tf1.noted import stands_in


def _restore_ndimage(module: Any) -> None:
    rotate = module.rotate

    @functools.wraps(rotate)
    def rotated(input: Any, angle: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(angle, np.ndarray) and angle.size == 1:
            stands_in("scipy.ndimage.rotate(image, array)", "the array's only number")
            angle = angle.item()
        return rotate(input, angle, *args, **kwargs)

    module.rotate = rotated


def _restore_manifold(module: Any) -> None:
    make = module.TSNE.__init__
    if "n_iter" in inspect.signature(make).parameters:
        return

    @functools.wraps(make)  # scikit-learn reads the arguments' names from the function beneath
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if "n_iter" in kwargs:
            stands_in("sklearn.manifold.TSNE(n_iter=)", "TSNE(max_iter=)")
            kwargs["max_iter"] = kwargs.pop("n_iter")
        make(self, *args, **kwargs)

    module.TSNE.__init__ = init


def _restore_canvas(module: Any) -> None:
    def set_window_title(self: Any, title: str) -> None:
        if self.manager is not None:
            self.manager.set_window_title(title)

    if not hasattr(module.FigureCanvasBase, "set_window_title"):
        module.FigureCanvasBase.set_window_title = set_window_title


def _restore_axes(module: Any) -> None:
    """Let `axes.lines.remove(line)` work, where axes had plain lists of what they show."""
    kind = module._AxesBase.ArtistList
    if not hasattr(kind, "remove"):
        kind.remove = lambda _artists, artist: artist.remove()


def _restore_legend(module: Any) -> None:
    if not hasattr(module.Legend, "draggable"):
        module.Legend.draggable = module.Legend.set_draggable


OLD_PACKAGES: Final[dict[str, Change]] = {
    "matplotlib.axes._base": _restore_axes,
    "matplotlib.backend_bases": _restore_canvas,
    "matplotlib.legend": _restore_legend,
    "scipy.ndimage": _restore_ndimage,
    "sklearn.manifold": _restore_manifold,
}
