"""The curves of a run, from metrics.jsonl, as arrays, as a pandas table and as a figure."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError
from cnnlab.run.disk.metrics_file import OWN, read_metrics

Arrays = dict[str, npt.NDArray[np.float64]]
DRAWN = ("loss", "accuracy", "mae")


class History:
    """The figures of a run so far.

    Attributes:
        train: of training steps, name to array: step int64 [n], and loss, accuracy, learning_rate
            and the like, float64 [n]. A figure that a line does not have is NaN.
        validation: the same of the evaluations on the validation set.
        logged: what hooks have logged by `train.log`: name to arrays, step and the name itself.
    """

    def __init__(self, save_dir: Path) -> None:
        """Read the figures of the run in save_dir.

        Raises:
            CnnlabError: there are none, or metrics.jsonl is damaged.
        """
        self._lines = list(read_metrics(save_dir))
        if not self._lines:
            raise CnnlabError(f"{save_dir} holds no figures yet; train first")
        self._name = str(save_dir)
        self.train = _arrays_of([line for line in self._lines if line["split"] == "train"])
        self.validation = _arrays_of([line for line in self._lines if line["split"] == "val"])
        logged = [line for line in self._lines if line["split"] == OWN]
        names = dict.fromkeys(name for line in logged for name in line)
        self.logged = {
            name: _arrays_of([line for line in logged if name in line])
            for name in names
            if name not in ("step", "split")
        }

    def __repr__(self) -> str:
        splits = {"train": self.train, "validation": self.validation}
        parts = [
            f"{split}: {len(arrays['step'])} x ({', '.join(arrays)})"
            for split, arrays in splits.items()
        ]
        return f"<History of {self._name}, {'; '.join(parts)}>"

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with the columns step, split and the figures.

        Raises:
            CnnlabError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise CnnlabError("to_pandas() needs pandas: pip install pandas") from error
        return pandas.DataFrame(self._lines)

    def plot(self) -> Any:
        """Draw loss and accuracy, or mean absolute error, over the step.

        The result is a `matplotlib.figure.Figure`. A notebook shows it; `savefig` writes it to a
        file.

        Raises:
            CnnlabError: matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise CnnlabError("plot() needs matplotlib: pip install 'cnnlab[report]'") from error

        class Shown(Figure):
            """A figure that a notebook shows without pyplot, which would keep every figure."""

            def _repr_png_(self) -> bytes:
                png = io.BytesIO()
                self.savefig(png, format="png", dpi=100)
                return png.getvalue()

        names = [name for name in DRAWN if name in {**self.train, **self.validation}]
        figure = Shown(figsize=(4.8 * len(names), 3.4), layout="constrained")
        for place, name in enumerate(names, 1):
            axes = figure.add_subplot(1, len(names), place)
            axes.set(xlabel="step", ylabel=name)
            axes.grid(alpha=0.3)
            for label, arrays, style in (
                ("train", self.train, "C0-"),
                ("validation", self.validation, "C1o-"),
            ):
                if len(arrays["step"]) and name in arrays:
                    axes.plot(arrays["step"], arrays[name], style, label=label, markersize=3.5)
            axes.legend()
        return figure


def _arrays_of(lines: list[dict[str, Any]]) -> Arrays:
    """Return the figures of some lines by name; step comes first."""
    names = dict.fromkeys(name for line in lines for name in line if name not in ("step", "split"))
    steps: Any = np.array([line["step"] for line in lines], np.int64)
    figures = {n: np.array([line.get(n, np.nan) for line in lines], np.float64) for n in names}
    return {"step": steps, **figures}
