"""The figures of an evaluation that are logged and shown; which ones depends on the labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Of classes: accuracy. Of several labels an image, or heads: accuracy, exact_match. Of real values:
# the rest.
_SHOWN = {
    "accuracy": "accuracy",
    "exact_match": "exact match",
    "mse": "mse",
    "mae": "mae",
    "r2": "R2",
}


def logged(figures: Mapping[str, Any], own: Iterable[str] = ()) -> dict[str, float]:
    """Return the figures for metrics.jsonl and TensorBoard: the loss, those of _SHOWN, and `own`.

    Of several heads also HEAD_accuracy and HEAD_loss.

    Args:
        figures: of an evaluation.
        own: names of the user's metrics.
    """
    names = ("loss", *_SHOWN, *own)
    found = {name: figures[name] for name in names if figures.get(name) is not None}
    for head, of_head in _heads(figures):
        found |= {f"{head}_{name}": of_head[name] for name in ("accuracy", "loss")}
    return found


def in_words(figures: Mapping[str, Any], own: Iterable[str] = ()) -> str:
    """Return the figures as text, as in "accuracy 0.9100, loss 0.3000"; own: see `logged`.

    Of several heads, the accuracy of each follows its name.
    """
    shown = [
        f"{word} {figures[name]:.4f}"
        for name, word in _SHOWN.items()
        if figures.get(name) is not None
    ]
    shown.append(f"loss {figures['loss']:.4f}")
    shown += [f"{head} {of_head['accuracy']:.4f}" for head, of_head in _heads(figures)]
    return ", ".join([*shown, *(f"{name} {figures[name]:.4f}" for name in own if name in figures)])


def _heads(figures: Mapping[str, Any]) -> list[tuple[str, Mapping[str, float]]]:
    """Return the figures of each head, by its name; none without heads."""
    return list(figures.get("heads", {}).items())


def finished_in_words(result: Mapping[str, Any]) -> str:
    """Return how a run has ended, and how it can go on."""
    advice = "--steps=N trains on"
    if result.get("stopped_early"):
        advice = "early stopping ended it; --overwrite starts again"
    return f"is finished, at step {result['step']}; {advice}"
