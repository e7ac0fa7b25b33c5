"""What training makes of each class: its images, how often an epoch draws them, and its weight."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnnlab.config.config import Config
from cnnlab.data.batches import class_weight_array
from cnnlab.data.sampling import draws_of_epoch, epoch_size

_MOST_CLASSES = 10  # in a line of text

BalanceRow = tuple[str, int, float, float]  # name, training images, draws of an epoch, weight


class ClassBalance(NamedTuple):
    """The classes of a run with class weights or with another sampling than shuffle.

    config: the run's options.
    counts: training images of each class.
    names: of the classes.
    """

    config: Config
    counts: list[int]
    names: tuple[str, ...]

    def describe(self) -> str:
        """Return a line for people: how many images of each class an epoch draws."""
        sampling = self.config.sampling
        draws = draws_of_epoch(sampling, self.counts, 0)
        parts = [
            f"{name} {drawn:,} from {count:,}"
            for name, drawn, count in zip(self.names, draws, self.counts, strict=True)
        ]
        if len(parts) > _MOST_CLASSES:
            parts[_MOST_CLASSES:] = [f"and so on for {len(parts) - _MOST_CLASSES} more"]
        unequal = sampling != "shuffle" and sum(draws) % sum(count > 0 for count in self.counts)
        rest = "; the classes take turns with the rest" if unequal else ""
        return f"{sampling}: an epoch draws {sum(draws):,} images: {', '.join(parts)}{rest}"

    def facts(self) -> dict[str, Any]:
        """Return what config.yaml records.

        Returns:
            epoch_images: the number of images that an epoch draws.
            classes: for each class its name, images, draws (of an epoch, the mean) and weight (the
                factor on its loss).
        """
        sampling, counts = self.config.sampling, self.counts
        size, present = epoch_size(sampling, counts), sum(count > 0 for count in counts)
        weights = np.ones(len(counts), np.float32)
        if self.config.class_weights is not None:
            labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
            weights = class_weight_array(self.config.class_weights, labels, self.names)
        classes = [
            {
                "name": name,
                "images": count,
                "draws": round(count if sampling == "shuffle" else (count > 0) * size / present, 2),
                "weight": round(float(weight), 6),
            }
            for name, count, weight in zip(self.names, counts, weights, strict=True)
        ]
        return {"epoch_images": size, "classes": classes}


def read_balance(recorded: Any) -> tuple[int | None, list[BalanceRow]]:
    """Return epoch_images and the rows of the classes.

    Args:
        recorded: what `ClassBalance.facts` returned. Of anything else: None and no row.
    """
    try:
        rows = [
            (str(row["name"]), int(row["images"]), float(row["draws"]), float(row["weight"]))
            for row in recorded["classes"]
        ]
        return int(recorded["epoch_images"]), rows
    except (TypeError, KeyError, ValueError):
        return None, []
