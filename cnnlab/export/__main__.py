"""The command `python -m cnnlab.export`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnlab.config import cli
from cnnlab.export import ExportOptions, _export


def main(words: Sequence[str] | None = None) -> None:
    """The command `python -m cnnlab.export`."""
    cli.run(
        _export_command,
        ExportOptions,
        words,
        usage="python -m cnnlab.export [--format=FORMAT] [--out=PATH] [--name=value ...]",
        about="Write a trained run's network in a form that needs no cnnlab.",
    )


def _export_command(options: ExportOptions, _words: tuple[str, ...]) -> dict[str, Any]:
    answer = _export(options)
    if not options.json:
        print(
            f"{answer['out']}: {answer['format']}, step {answer['step']}, {answer['bytes']:,} bytes"
        )
    return answer


if __name__ == "__main__":
    main()
