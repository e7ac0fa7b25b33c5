"""The command `python -m cnnlab.export`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnlab.config import cli
from cnnlab.config.options import as_dict
from cnnlab.export import ExportOptions, export


def main(words: Sequence[str] | None = None) -> None:
    """Run the command `python -m cnnlab.export`."""
    cli.run(
        _export_command,
        ExportOptions,
        words,
        usage="python -m cnnlab.export [--format=FORMAT] [--out=PATH] [--name=value ...]",
        about="Write the network of a trained run in a format that can be used without cnnlab.",
    )


def _export_command(options: ExportOptions, _words: tuple[str, ...]) -> dict[str, Any]:
    answer = export(**as_dict(options))
    if not options.json:
        cli.say(
            f"{answer['out']}: {answer['format']}, step {answer['step']}, {answer['bytes']:,} bytes"
        )
    return answer


if __name__ == "__main__":
    main()
