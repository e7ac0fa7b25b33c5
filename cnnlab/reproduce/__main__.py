"""The command `python -m cnnlab.reproduce`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnlab.config import cli
from cnnlab.reproduce import ReproduceOptions, check_names, progress_of, run_recipes
from cnnlab.reproduce.table import listing, markdown


def main(words: Sequence[str] | None = None) -> None:
    """Run the command `python -m cnnlab.reproduce`."""
    cli.run(
        _reproduce_command,
        ReproduceOptions,
        words,
        usage="python -m cnnlab.reproduce [RECIPE|FILE.yaml ...] [--name=value ...]",
        about="Train recipes to their end, and write a table of the accuracies that their texts "
        "claim and that\nthe runs reach. Without names, train all recipes. The same command "
        "resumes what was stopped.",
        takes_words=True,
    )


def _reproduce_command(options: ReproduceOptions, words: tuple[str, ...]) -> list[dict[str, Any]]:
    names = check_names(words, options.model)
    if options.list:
        states = [progress_of(name, options) for name in names]
        cli.say(listing(states), options)
        return states
    rows = []
    for row in run_recipes(names, options):
        rows.append(row)
        cli.say(markdown([row]), options)
    return rows


if __name__ == "__main__":
    main()
