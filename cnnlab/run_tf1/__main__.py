"""The command `cnnlab run-tf1`, also `python -m cnnlab.run_tf1`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.config import cli
from cnnlab.config.options import STRICT, Options, option
from cnnlab.run_tf1.old_source import Program, read_program

USAGE: Final = "cnnlab run-tf1 [--data_dir=DIR] PROGRAM.py [its arguments]"


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class RunTF1Options(Options):
    """Options of `cnnlab run-tf1`; those after the program's name are the program's."""

    data_dir: str = option(
        "./data",
        "folder of the files of MNIST and CIFAR that the program reads; they are fetched into it "
        "if they are not there",
        group="data",
        is_path=True,
        min_length=1,
    )


def main(words: Sequence[str] | None = None) -> None:
    """Run the command `cnnlab run-tf1`."""
    words = sys.argv[1:] if words is None else list(words)
    ours, program, arguments = split_words(words)

    def command(options: RunTF1Options, _words: tuple[str, ...]) -> None:
        if program is None:
            raise UsageError(f"name a program, as in: {USAGE}")
        raise SystemExit(_run(read_program(program), arguments, options))

    cli.run(
        command,
        RunTF1Options,
        ours,
        usage=USAGE,
        about="Run an old program of TensorFlow 0.5 to 1.15, unchanged, on today's TensorFlow. At "
        "its end, say on stderr what stood in for what. The exit code is the program's own.",
    )


def split_words(words: Sequence[str]) -> tuple[list[str], str | None, list[str]]:
    """Return the options before the program, the program, and its arguments."""
    for number, word in enumerate(words):
        if not word.startswith("-") and (number == 0 or words[number - 1] != "--data_dir"):
            return list(words[:number]), word, list(words[number + 1 :])
    return list(words), None, []


def _run(program: Program, arguments: Sequence[str], options: RunTF1Options) -> int:
    if program.is_for_2 or program.is_unrelated:
        why = "is a program of TensorFlow 2" if program.is_for_2 else "does not import TensorFlow"
        cli.complain(f"{program.path} {why}: Python runs it as it is", kind="note")
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, program.path, *arguments])
    from cnnlab.run_tf1.closing_report import print_report
    from cnnlab.run_tf1.display import prepare_display
    from cnnlab.run_tf1.running import run_program
    from cnnlab.run_tf1.starting import become_tensorflow_1

    prepare_display()
    become_tensorflow_1(os.path.abspath(options.data_dir))
    try:
        return run_program(program, arguments)
    finally:
        print_report(program.path)


if __name__ == "__main__":
    main()
