"""The command line: the only place that knows Fire, shared by every command.

Fire calls the function it is given *before* it complains of a flag that the function does not know,
so a typo would train first and fail after. Here Fire only collects words and flags; the options
class then checks them, before TensorFlow is imported and before any file is made.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fire

from cnnlab import options as options_module
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.options import Options, OptionsT

COMMANDS = ("train", "evaluate", "predict", "data")

Command = Callable[[Any, tuple[str, ...]], Mapping[str, Any] | Sequence[Any] | None]


def main() -> None:
    """Entry point of the console script: `cnnlab NAME ...` is `python -m cnnlab.NAME ...`."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print(f"usage: cnnlab {{{','.join(COMMANDS)}}} [--help] [options]")
        sys.exit(0 if words else 2)
    if words[0] not in COMMANDS:
        hint = options_module.nearest(words[0], COMMANDS) or f"; one of {', '.join(COMMANDS)}"
        print(f"error: unknown command {words[0]}{hint}", file=sys.stderr)
        sys.exit(2)
    importlib.import_module(
        f"cnnlab.{words[0]}.__main__" if words[0] == "data" else f"cnnlab.{words[0]}"
    ).main(words[1:])


def collect(words: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Split a command line into positional words and flags, as Fire reads them, all as text."""
    found: dict[str, Any] = {"words": (), "flags": {}}

    @fire.decorators.SetParseFn(str)
    def take(*words: str, **flags: str) -> None:
        found.update(words=words, flags=flags)

    fire.Fire(take, command=list(words), name="cnnlab")
    return found["words"], found["flags"]


def run(
    command: Command,
    options_class: type[OptionsT],
    words: Sequence[str] | None,
    *,
    usage: str,
    about: str,
    resolve: Callable[[dict[str, Any]], OptionsT] | None = None,
    takes_words: bool = False,
) -> None:
    """Run one command under the contract of exit codes and output, then exit.

    Args:
        command: called with the options and the positional words; what it returns is printed as
            JSON with `--json`. It may raise SystemExit with another code.
        options_class: the command's options.
        words: the command line; None for this process's own.
        usage: the first line of `--help`.
        about: what the command does, for `--help`.
        resolve: makes the options from the flags' values; the plain constructor unless given.
        takes_words: whether positional words are admitted.

    Exits with 0 when done, 2 on bad usage, 1 on failure with one line `error: ...` on stderr.
    """
    words = sys.argv[1:] if words is None else list(words)
    if "--help" in words or "-h" in words:
        print(options_module.help_text(options_class, usage, about))
        sys.exit(0)
    debug = any(word.startswith("--debug") for word in words)
    try:
        options, positional = _parse(options_class, words, resolve, takes_words)
        answer = command(options, positional)
        if options.json and answer is not None:
            print(json.dumps(answer), flush=True)
    except (CnnlabError, OSError) as error:
        if debug:
            traceback.print_exc()
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 1))
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def say(text: str, options: Options | None = None) -> None:
    """Print a line for people: on stdout, or on stderr where `--json` has stdout to itself."""
    stream = sys.stderr if options is not None and options.json else sys.stdout
    print(text, file=stream, flush=True)


def _parse(
    options_class: type[OptionsT],
    words: Sequence[str],
    resolve: Callable[[dict[str, Any]], OptionsT] | None,
    takes_words: bool,
) -> tuple[OptionsT, tuple[str, ...]]:
    positional, flags = collect(words)
    if positional and not takes_words:
        raise UsageError(f"unexpected argument {positional[0]}; options are written --name=value")
    options_module.check_names(flags, options_class, "the command line")
    values = {
        name: options_module.parse_text(name, text, options_class) for name, text in flags.items()
    }
    make = resolve or (lambda given: options_module.build(options_class, given))
    return make(values), positional
