"""The command `python -m cnnlab.port`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

from cnnlab.base.errors import UsageError
from cnnlab.base.printing import print_lines
from cnnlab.config import cli
from cnnlab.port import port
from cnnlab.port.port_options import PortOptions

_WIDTH: Final = 100


def main(words: Sequence[str] | None = None) -> None:
    """Run the command `python -m cnnlab.port`."""
    cli.run(
        _port_command,
        PortOptions,
        words,
        usage="python -m cnnlab.port PROGRAM.py [--out=FILE.py]",
        about="Say line by line what to change in a program of TensorFlow 1, and why. For common "
        "shapes (placeholders, layers or variables, an optimizer, a session loop; an Estimator), "
        "also write a first script that trains the program's own network. The program is read, "
        "never run.",
        takes_words=True,
    )


def _port_command(options: PortOptions, words: tuple[str, ...]) -> dict[str, Any]:
    if len(words) != 1:
        raise UsageError("name one program, as in: cnnlab port old_program.py")
    answer = port(words[0], out=options.out, overwrite=options.overwrite)
    if not options.json:
        print_lines("\n".join(_report(answer)))
    if options.out is not None and answer["script"] is None:
        raise cli.Exit(1, answer, f"no script: missing is {answer['missing']}")
    return answer


def _report(answer: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the report."""
    program = answer["program"]
    seen: dict[tuple[str, str], int] = {}
    for note in answer["notes"]:
        head = f"{program}:{note['line']}: {note['what']}"
        key = (note["kind"], note["to"])
        if key in seen:
            yield f"{head}: see line {seen[key]}"
            continue
        seen[key] = note["line"]
        yield f"{head}: {note['kind']}"
        yield from textwrap.wrap(
            f"to: {note['to']}", _WIDTH, initial_indent="    ", subsequent_indent="        "
        )
        yield from textwrap.wrap(
            f"why: {note['why']}", _WIDTH, initial_indent="    ", subsequent_indent="        "
        )
    if answer["notes"]:
        yield ""
    for row in answer["assumed"]:
        place = f"line {row['line']}: " if row["line"] else ""
        yield f"in the script: {place}{row['text']}"
    if answer["script"] is None:
        yield f"no script: missing is {answer['missing']}"
    elif answer["out"] is None:
        yield "a first script can be written: --out=FILE.py"
    else:
        yield f"{answer['out']}: a first script; python {answer['out']} trains"


if __name__ == "__main__":
    main()
