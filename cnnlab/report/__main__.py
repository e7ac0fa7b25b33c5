"""The command `python -m cnnlab.report`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnlab.base.errors import UsageError
from cnnlab.config import cli
from cnnlab.config.options import Options, as_dict, fields_of
from cnnlab.report import ReportOptions, report
from cnnlab.run.metrics.shown import in_words


def main(words: Sequence[str] | None = None) -> None:
    """Run the command."""
    cli.run(
        _report_command,
        ReportOptions,
        words,
        usage="python -m cnnlab.report [RUN ...] [--out=DIR] [--name=value ...]",
        about="Write an HTML report on one run, or on several side by side, and its PNG files.",
        takes_words=True,
    )


def _report_command(options: ReportOptions, runs: tuple[str, ...]) -> dict[str, Any]:
    if runs and options.save_dir != "./save":
        raise UsageError("name runs, or one with --save_dir, but not both")
    of_command = ("save_dir", *fields_of(Options))
    given = {name: value for name, value in as_dict(options).items() if name not in of_command}
    answer = report(runs or options.save_dir, **given)
    if not options.json:
        for run in answer["runs"]:
            shown = f"accuracy {run['accuracy']:.4f}" if "accuracy" in run else in_words(run)
            cli.say(
                f"{run['save_dir']}: step {run['step']}, {shown} on {run['n']} "
                f"{run['split']} images"
            )
        cli.say(f"{answer['report']} and {len(answer['pictures'])} PNGs beside it")
    return answer


if __name__ == "__main__":
    main()
