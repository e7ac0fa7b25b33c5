"""The command `python -m cnnlab.tune`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnlab.config import cli
from cnnlab.config.resolve import resolve
from cnnlab.tune import run_search
from cnnlab.tune.options import TuneOptions


def main(words: Sequence[str] | None = None) -> None:
    """Run the command `python -m cnnlab.tune`."""
    cli.run(
        _tune_command,
        TuneOptions,
        words,
        usage="python -m cnnlab.tune [--space=SPACE] [--config=RECIPE] [--trials=N] "
        "[--name=value ...]",
        about="Search for the best options of a run, or resume the study in save_dir. All options "
        "of a run\nthat --space does not vary are the same for every trial.",
        resolve=lambda given: resolve(given, TuneOptions),
    )


def _tune_command(options: TuneOptions, _words: tuple[str, ...]) -> dict[str, Any]:
    summary = run_search(options)
    if not options.json:
        from cnnlab.tune.results import describe_best, table

        cli.say(table(summary))
        if not summary["finished"]:
            cli.say("some trials are not finished; the same command resumes them")
        cli.say(describe_best(summary, options.resolved_log_dir))
    return summary


if __name__ == "__main__":
    main()
