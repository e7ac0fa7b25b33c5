"""The command `python -m cnnlab.reproduce`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnlab.config import cli
from cnnlab.reproduce import ReproduceOptions, _checked, _reproduced, _state
from cnnlab.reproduce.table import listing, markdown


def main(words: Sequence[str] | None = None) -> None:
    """The command `python -m cnnlab.reproduce`."""
    cli.run(
        _reproduce_command,
        ReproduceOptions,
        words,
        usage="python -m cnnlab.reproduce [RECIPE ...] [--name=value ...]",
        about="Run recipes (all, unless some are named) to the figures that their texts claim, and "
        "write a table. Run again, it goes on where it was stopped.",
        takes_words=True,
    )


def _reproduce_command(options: ReproduceOptions, words: tuple[str, ...]) -> list[dict[str, Any]]:
    names = _checked(words)
    if options.list:
        states = [_state(name, options) for name in names]
        cli.say(listing(states), options)
        return states
    rows = []
    for row in _reproduced(names, options):
        rows.append(row)
        cli.say(markdown([row]), options)
    return rows


if __name__ == "__main__":
    main()
