"""The table of what recipes reach: its rows, its file, its forms for people."""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError
from cnnlab.base.files import cannot_write, read_text, translate_os_errors, write_atomically

_MAX_BYTES = 100_000_000


class Table:
    """A JSON file: a list of rows, one for each system, in alphabetical order."""

    def __init__(self, path: Path) -> None:
        """Raises: CnnlabError: there is such a file and it is no table."""
        self.path = path
        self.rows()  # what is wrong with the file is told before any run

    def rows(self) -> list[dict[str, Any]]:
        """What is in the file by now."""
        if not self.path.exists():
            return []
        try:
            rows: list[dict[str, Any]] = json.loads(read_text(self.path, _MAX_BYTES))
            _ = [row["system"] + "" for row in rows]
        except (ValueError, TypeError, KeyError) as error:
            raise CnnlabError(
                f"{self.path} is no table of results ({str(error)[:100]}); name another with --out"
            ) from error
        return rows

    def check_writable(self) -> None:
        """Make the folder that the file goes into.

        Raises:
            CnnlabError: it cannot be made or written.
        """
        folder = self.path.parent
        with translate_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise cannot_write(folder, "Permission denied")

    def put(self, row: dict[str, Any]) -> None:
        """Add a row, in place of the system's earlier one, to what another process may
        have added in the hours since."""
        kept = [other for other in self.rows() if other["system"] != row["system"]]
        rows = sorted([*kept, row], key=lambda other: other["system"])
        write_atomically(self.path, json.dumps(rows, indent=2) + "\n")


def row_of(
    name: str,
    about: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    where: Mapping[str, Any],
) -> dict[str, Any]:
    """The row of one recipe.

    Args:
        name: the recipe's.
        about: what it says of its text, as `cnnlab.config.recipes.load_about` gives it.
        results: for each seed: seed, step, accuracy in [0, 1] of the test set, seconds,
            images_per_sec.
        where: machine, versions and commit.

    Returns:
        system, text, claimed (None where the text states nothing), reached (mean accuracy over the
        seeds), accuracies (by seed), steps, seconds and images_per_sec (means over the seeds),
        seeds, and `where`.
    """
    accuracies = [result["accuracy"] for result in results]
    mean_speed = statistics.fmean(result["images_per_sec"] for result in results)
    return {
        "system": name,
        "text": about.get("text"),
        "claimed": about.get("claimed"),
        "reached": statistics.fmean(accuracies),
        "accuracies": accuracies,
        "steps": results[0]["step"],
        "seconds": round(statistics.fmean(result["seconds"] for result in results), 1),
        "images_per_sec": round(mean_speed, 1),
        "seeds": [result["seed"] for result in results],
        **where,
    }


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table, and below it the machines that they were measured on."""
    lines = [
        "| text | recipe | claimed | reached (seeds) | steps | seconds | images/s | commit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    machines: list[str] = []
    for row in rows:
        if (machine := _machine_line(row)) not in machines:
            machines.append(machine)
        claimed = "none" if row["claimed"] is None else f"{row['claimed']:.2%}"
        each = ", ".join(f"{accuracy:.2%}" for accuracy in row["accuracies"])
        reached = each if len(row["seeds"]) == 1 else f"{row['reached']:.2%} ({each})"
        lines.append(
            f"| {row['text'] or ''} | `{row['system']}` | {claimed} | {reached} | {row['steps']:,} "
            f"| {row['seconds']:,.0f} | {row['images_per_sec']:,.0f} | {row['commit'] or ''} |"
        )
    return "\n".join([*lines, "", *machines]) + "\n"


def _machine_line(row: Mapping[str, Any]) -> str:
    machine = row["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
    return (
        f"{machine['cpu']} ({', '.join(machine['cpu_features'])}), {machine['cores']} cores, "
        f"{machine['ram_gb']} GB; {versions}."
    )


def listing(states: Sequence[Mapping[str, Any]]) -> str:
    """How far each recipe is: name, claimed, reached, steps made of how many, seconds left."""
    width = max(len(state["system"]) for state in states)
    lines = [f"{'recipe':<{width}}  claimed  reached        steps made  left here"]
    for state in states:
        claimed = "none" if state["claimed"] is None else f"{state['claimed']:.2%}"
        reached = "" if state["reached"] is None else f"{state['reached']:.2%}"
        made = f"{state['steps_made']}/{state['steps']}"
        lines.append(
            f"{state['system']:<{width}}  {claimed:>7}  {reached:>7}  {made:>16}  "
            f"{_duration(state['seconds_left'])}"
        )
    unknown = sum(state["seconds_left"] is None for state in states)
    known = sum(state["seconds_left"] or 0 for state in states)
    lines.append(f"{'all':<{width}}  {'':>34}  {_duration(known)}")
    if unknown:
        lines[-1] += f" and {unknown} unknown; --quick measures them"
    return "\n".join(lines)


def _duration(secs: float | None) -> str:
    if secs is None:
        return "unknown"
    minutes = math.ceil(secs / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
