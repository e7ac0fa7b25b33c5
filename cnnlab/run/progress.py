"""The progress of a run on stderr."""

from __future__ import annotations

import importlib.util
import math
import sys
from typing import Any

from tqdm import tqdm

from cnnlab.run.hook import Hook, Run, StepState


class ProgressHook(Hook):
    """Shows progress: a bar on a terminal or in a notebook, elsewhere a line now and then."""

    def __init__(self, every_steps: int, total_steps: int) -> None:
        """Choose the form: a line comes every `every_steps` steps."""
        self._has_bar = sys.stderr.isatty() or _is_notebook()
        self.every_steps = sys.maxsize if self._has_bar else every_steps
        self._total_steps = total_steps
        self._bar: Any = None
        self._step = 0
        self._step_secs = 0.0

    def begin(self, run: Run) -> None:
        self._step, self._step_secs = run.step, 0.0
        if self._has_bar:
            self._bar = _open_bar(total=self._total_steps, initial=run.step, unit="step")

    def after_step(self, run: Run, state: StepState) -> None:
        if not self._has_bar:
            run.say(self._line(run, state))

    def after_run(self, run: Run, state: StepState) -> None:
        if self._bar is not None:
            self._bar.n = state.step
            rate = _speed(self._images_per_sec(run, state), run.config.batch_size)
            self._bar.set_postfix_str(f"{_figures(state)}, {rate}{_waited(state)}")

    def end(self, run: Run) -> None:
        if self._bar is not None:
            self._bar.close()

    def _images_per_sec(self, run: Run, state: StepState) -> float:
        """Return the throughput since the last call."""
        steps, secs = state.step - self._step, state.step_secs - self._step_secs
        self._step, self._step_secs = state.step, state.step_secs
        return steps * run.config.batch_size / secs

    def _line(self, run: Run, state: StepState) -> str:
        rate = self._images_per_sec(run, state)
        left = (state.total_steps - state.step) * run.config.batch_size / rate
        return (
            f"step {state.step}/{state.total_steps}: {_figures(state)}, "
            f"learning rate {state.learning_rate:.3g}, "
            f"{_speed(rate, run.config.batch_size)}{_waited(state)}, {left:.0f} s left"
        )


def _figures(state: StepState) -> str:
    accuracy = "" if math.isnan(state.accuracy) else f", accuracy {state.accuracy:.3f}"
    return f"loss {state.loss:.4f}{accuracy}"


def _speed(images_per_sec: float, batch_size: int) -> str:
    return f"{images_per_sec:.0f} images/s, {batch_size / images_per_sec:.3g} s/batch"


def _waited(state: StepState) -> str:
    """Return the share of time spent waiting for images, where they are read while it trains."""
    if state.waited_secs is None:
        return ""
    return f", {state.waited_secs / state.step_secs:.0%} of the time waiting for images"


def _is_notebook() -> bool:
    """Return whether a Jupyter kernel runs this process."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def _open_bar(**arguments: Any) -> Any:
    """Return a tqdm bar: that of notebooks where one can be shown, else one of text.

    `tqdm.auto` would warn without ipywidgets, which draw the bar of notebooks.
    """
    if _is_notebook() and importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as notebook_tqdm

        return notebook_tqdm(**arguments)
    return tqdm(**arguments)
