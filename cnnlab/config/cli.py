"""The command line of every command; the only file that uses Fire.

Fire calls a function *before* it reports a flag that the function does not know. A typo would
train first and fail afterwards. So here Fire only collects words and flags. The options class then
checks them, before TensorFlow is imported and before any file is written.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

import fire

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.printing import notes_silenced, print_as_is, print_error, print_lines
from cnnlab.base.safe_text import for_terminal
from cnnlab.base.signals import Interrupted, signals_raised
from cnnlab.base.words import ALIASES, words_of_a_command
from cnnlab.config import options as options_module
from cnnlab.config.help import help_text
from cnnlab.config.options import Options, OptionsT


class Exit(SystemExit):
    """Raised by a command to exit with a code, after printing its answer and error.

    Args:
        code: the exit code.
        answer: printed as JSON with `--json`; None: nothing.
        error: printed as `error: ...` on stderr; empty: nothing.
    """

    def __init__(self, code: int, answer: Any = None, error: str = "") -> None:
        super().__init__(code)
        self.answer, self.error = answer, error


_IS_FLAG = re.compile("--|-[a-zA-Z]")  # as Fire sees it: a negative number is none
_NO_SEPARATOR = "\0"  # cannot occur in a command line
NOTES = ("note", "warning")
MAX_LINE = 1000  # characters of an error, because a file name may have thousands

Command = Callable[[Any, tuple[str, ...]], Mapping[str, Any] | Sequence[Any] | None]


def collect(
    words: Sequence[str], options_class: type[Options]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Split a command line into positional words and flags with Fire. All values stay text.

    Args:
        words: the command line after the name of the command.
        options_class: the command's options; tells which flags are switches.

    Returns:
        the positional words, and flag name to text.

    Raises:
        UsageError: a word has a special meaning in Fire only, or an option has no value.
    """
    for word in words:
        if word == "--" or word.startswith("--="):
            raise UsageError(f"unexpected argument {word}; options are written --name=value")
    # A switch needs no value, but Fire would take the next word as its value.
    switches = options_module.switches_of(options_class)
    words = [f"{word}=True" if _flag_name(word) in switches else word for word in words]
    # Fire takes a flag without a value for a switch that is True, or False after --no.
    others = {*options_module.fields_of(options_class), *ALIASES} - set(switches)
    for word, following in itertools.zip_longest(words, words[1:], fillvalue="--"):
        name = _flag_name(word)
        if "=" not in word and _IS_FLAG.match(word) and _IS_FLAG.match(following):
            for option in (name, name.removeprefix("no")):
                if option in others:
                    raise UsageError(f"--{option} needs a value, as in --{option}=VALUE")
    found: dict[str, Any] = {"words": (), "flags": {}}

    @fire.decorators.SetParseFn(str)
    def take(*words: str, **flags: str) -> None:
        found.update(words=words, flags=flags)

    # In Fire, "-" ends the arguments. Here it is a word that means standard input.
    fire.Fire(take, command=[*words, "--", f"--separator={_NO_SEPARATOR}"], name="cnnlab")
    return found["words"], found["flags"]


def _flag_name(word: str) -> str:
    """Return the name of the option that a flag sets; for other words, a text that is no name."""
    return word.lstrip("-").replace("-", "_") if _IS_FLAG.match(word) else ""


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
    """Run one command, print its answer or its error, and exit.

    The exit code is 0 on success, 2 for wrong usage and 1 for a failure. Wrong usage and failures
    print one line `error: ...` on stderr.

    Args:
        command: called with the options and the positional words. `--json` prints what it returns
            as JSON. It may raise `Exit` or SystemExit with another code.
        options_class: the command's options.
        words: the command line; default: that of this process.
        usage: the first line of `--help`.
        about: what the command does, for `--help`.
        resolve: creates the options from the values of the flags; default: `options.build`.
        takes_words: whether the command accepts positional words.

    Raises:
        SystemExit: always.
    """
    _open_closed_streams()
    code = 1
    try:
        with signals_raised(), words_of_a_command():
            code = _run(command, options_class, words, usage, about, resolve, takes_words)
        code = _flush(code)
    except Interrupted as error:
        complain(str(error))
        code = 128 + error.number
    except KeyboardInterrupt:
        complain("interrupted")
        code = 128 + signal.SIGINT
    except BrokenPipeError:
        silence(sys.stdout)
        code = 128 + signal.SIGPIPE  # as a shell reports for a program that a closed pipe ended
    sys.exit(code)


def _flush(code: int) -> int:
    """Write what is left for stdout, and return the exit code; say once if it cannot be written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:  # the device is full
        if code == 0:
            complain(f"cannot write to stdout: {error.strerror}")
        silence(sys.stdout)  # Python would try it again at the end
        return code or 1
    return code


def _run(
    command: Command,
    options_class: type[OptionsT],
    words: Sequence[str] | None,
    usage: str,
    about: str,
    resolve: Callable[[dict[str, Any]], OptionsT] | None,
    takes_words: bool,
) -> int:
    """Run the command and return the exit code."""
    words = sys.argv[1:] if words is None else list(words)
    debug = any(word in ("--debug", "--debug=True", "--debug=1") for word in words)
    try:
        if (which := _asked_help(words)) is not None:
            print_as_is(help_text(options_class, usage, about, which))
            return 0
        options, positional = _parse(options_class, words, resolve, takes_words)
        code, error = 0, ""
        try:
            with notes_silenced(options.quiet):
                answer = command(options, positional)
        except Exit as stopped:
            code, answer, error = int(str(stopped.code)), stopped.answer, stopped.error
        if options.json and answer is not None:
            print_as_is(json.dumps(answer))
        if error:
            complain(error)
    except BrokenPipeError:
        raise
    except (CnnlabError, OSError, MemoryError) as failure:
        if debug:
            traceback.print_exc()
        complain(str(failure) or "out of memory")
        return int(getattr(failure, "exit_code", 1))
    return code


def _asked_help(words: Sequence[str]) -> str | None:
    """Return the options that `--help` asks about, "" if it names none; None: no `--help`."""
    asked = [word for word in words if word in ("-h", "--help") or word.startswith("--help=")]
    return asked[0].partition("=")[2] if asked else None


def complain(text: str, kind: str = "error") -> None:
    """Print one line `kind: text` on stderr; `--quiet` silences NOTES.

    Do nothing if its reader has gone.
    """
    line = for_terminal(" ".join(text.split()))
    if len(line) > MAX_LINE:
        line = f"{line[:MAX_LINE]} ..."
    try:
        if kind in NOTES:
            print_lines(f"{kind}: {line}", to_stderr=True)
        else:
            print_error(f"{kind}: {line}")
    except BrokenPipeError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Redirect a stream that has lost its reader, so that Python can close it without an error."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _open_closed_streams() -> None:
    """Open stdin, stdout and stderr on the null device where they are closed, as by `>&-`.

    Otherwise the next file that is opened gets the free number, and TensorFlow prints into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # print any file name without an error
            stream.reconfigure(errors="backslashreplace")


def say(text: str, options: Options | None = None) -> None:
    """Print a line for people on stdout, or with `--json` on stderr, where it is a note."""
    print_lines(text, to_stderr=options is not None and options.json)


def _parse(
    options_class: type[OptionsT],
    words: Sequence[str],
    resolve: Callable[[dict[str, Any]], OptionsT] | None,
    takes_words: bool,
) -> tuple[OptionsT, tuple[str, ...]]:
    positional, flags = collect(words, options_class)
    if positional and not takes_words:
        raise UsageError(f"unexpected argument {positional[0]}; options are written --name=value")
    options_module.check_names(flags, options_class, "the command line")
    values = {
        name: options_module.parse_text(name, text, options_class)
        for name, text in options_module.full_names(flags, options_class).items()
    }
    make = resolve or (lambda given: options_module.build(options_class, given))
    return make(values), positional
