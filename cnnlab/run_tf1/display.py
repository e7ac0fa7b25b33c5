"""Matplotlib where there is no display: figures are drawn into files, and animations run."""

from __future__ import annotations

import functools
import itertools
import os
from typing import Any, Final

from cnnlab.run_tf1.after_import import after_import
from cnnlab.run_tf1.noted import stands_in

_FOR_FILES: Final = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")
_animations: list[Any] = []  # those that no window has shown


def prepare_display() -> None:
    """From here on, let matplotlib work without a window, if there is no display.

    Some programs train inside the frames of an animation, which only a window calls. `plt.show()`
    then computes the frames.
    """
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.name == "nt":
        return
    os.environ["MPLBACKEND"] = "Agg"
    after_import(
        {
            "matplotlib": _draw_into_files,
            "matplotlib.animation": _keep_animations,
            "matplotlib.pyplot": _play_when_shown,
        }
    )


def _draw_into_files(matplotlib: Any) -> None:
    stands_in("the display of matplotlib", "none: figures are drawn, and not shown")
    choose = matplotlib.use

    def use(backend: str, *args: Any, **kwargs: Any) -> None:
        choose(backend if backend.lower() in _FOR_FILES else "agg", *args, **kwargs)

    vars(matplotlib)["use"] = use


def _keep_animations(module: Any) -> None:
    kind = module.FuncAnimation
    make = kind.__init__

    @functools.wraps(make)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        _animations.append(self)

    kind.__init__ = init


def _play_when_shown(pyplot: Any) -> None:
    show = pyplot.show

    @functools.wraps(show)
    def play_and_show(*args: Any, **kwargs: Any) -> Any:
        while _animations:
            _play(_animations.pop(0))
        return show(*args, **kwargs)

    vars(pyplot)["show"] = play_and_show


def _play(animation: Any) -> None:
    """Compute the frames of an animation, as its window would; not those without an end."""
    animation._draw_was_started = True  # or matplotlib warns that it was not shown
    if animation._iter_gen is itertools.count:
        stands_in("the window of an endless animation", "none: its frames are not computed")
        return
    stands_in("the window of an animation", "none: its frames are computed, and not shown")
    animation._init_draw()
    for frame in animation.new_frame_seq():
        animation._draw_frame(frame)
