"""The figures of an evaluation that are logged and shown; which ones depends on the labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Of classes: accuracy. Of several labels an image: accuracy, exact_match. Of real values: the rest.
_SHOWN = {
    "accuracy": "accuracy",
    "exact_match": "exact match",
    "mse": "mse",
    "mae": "mae",
    "r2": "R2",
}


def logged(figures: Mapping[str, Any], own: Iterable[str] = ()) -> dict[str, float]:
    """Return the figures for metrics.jsonl and TensorBoard: the loss, those of _SHOWN, and `own`.

    Args:
        figures: of an evaluation.
        own: names of the user's metrics.
    """
    names = ("loss", *_SHOWN, *own)
    return {name: figures[name] for name in names if figures.get(name) is not None}


def in_words(figures: Mapping[str, Any], own: Iterable[str] = ()) -> str:
    """Return the figures as text, as in "accuracy 0.9100, loss 0.3000"; own: see `logged`."""
    shown = [
        f"{word} {figures[name]:.4f}"
        for name, word in _SHOWN.items()
        if figures.get(name) is not None
    ]
    shown.append(f"loss {figures['loss']:.4f}")
    return ", ".join([*shown, *(f"{name} {figures[name]:.4f}" for name in own if name in figures)])
