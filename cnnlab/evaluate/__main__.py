"""The command `python -m cnnlab.evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnlab.config import cli
from cnnlab.evaluate import EvaluateOptions, evaluate_with_workers, tables
from cnnlab.run.cluster.launcher import end_with_launcher
from cnnlab.run.cluster.place import place_of
from cnnlab.run.disk.config_file import load_config


def main(words: Sequence[str] | None = None) -> None:
    """Run the command `python -m cnnlab.evaluate`."""
    end_with_launcher()
    cli.run(
        _evaluate_command,
        EvaluateOptions,
        words,
        usage="python -m cnnlab.evaluate [--save_dir=DIR] [--name=value ...]",
        about="Evaluate a trained run on all images of a split, another data set or a folder.",
    )


def _evaluate_command(options: EvaluateOptions, _words: tuple[str, ...]) -> dict[str, Any] | None:
    figures = evaluate_with_workers(options)
    if not place_of().is_chief:
        return None
    if not options.json:
        own = load_config(options.save_dir).metrics if options.metrics is None else options.metrics
        cli.say(tables.report(figures, own))
    return figures


if __name__ == "__main__":
    main()
