"""The command line: flags, exit codes, and what is printed on stdout and stderr."""

import json
import sys
from typing import Any

import pytest
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import CnnlabError, DataError, UsageError
from cnnlab.base.printing import print_lines
from cnnlab.config import cli
from cnnlab.config.options import STRICT, Options, option


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class Toy(Options):
    """The options of a small command."""

    size: int = option(1, "how large", ge=1)
    name: str = option("x", "called")


@pytest.mark.parametrize(
    ("words", "positional", "flags"),
    [
        ([], (), {}),
        (["--size=3"], (), {"size": "3"}),
        (["--size", "3", "--name", "a b"], (), {"size": "3", "name": "a b"}),
        (["--batch-size=3"], (), {"batch_size": "3"}),
        (["--learning_rate", "-1"], (), {"learning_rate": "-1"}),
        (["--json", "--size=3"], (), {"json": "True", "size": "3"}),
        (["--nojson"], (), {"json": "False"}),
        (["--name", "-", "--json"], (), {"name": "-", "json": "True"}),
        (["--name", "-1", "--nojson"], (), {"name": "-1", "json": "False"}),
        (["a.png", "b.png", "--json"], ("a.png", "b.png"), {"json": "True"}),
        (["0x10", "1e3", "None", "[1]"], ("0x10", "1e3", "None", "[1]"), {}),
        (["--name=a=b"], (), {"name": "a=b"}),
        (["--name="], (), {"name": ""}),
        (["--x={a: [1, 2]}"], (), {"x": "{a: [1, 2]}"}),
        (["--size=1", "--size=2"], (), {"size": "2"}),
        (["a", "-", "--size", "2", "b"], ("a", "-", "b"), {"size": "2"}),
    ],
)
def test_words_and_flags_are_collected_as_text(
    words: list[str], positional: tuple[str, ...], flags: dict[str, str]
) -> None:
    assert cli.collect(words, Toy) == (positional, flags)


def run(words: list[str], command: Any = None, **options: Any) -> int:
    def nothing(_options: Toy, _words: tuple[str, ...]) -> None:
        return None

    with pytest.raises(SystemExit) as end:
        cli.run(command or nothing, Toy, words, usage="toy", about="A toy.", **options)
    assert isinstance(end.value.code, int)
    return end.value.code


def test_done(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []
    code = run(["--size=3", "a", "b"], lambda *given: seen.extend(given), takes_words=True)
    assert code == 0
    assert seen == [Toy(size=3), ("a", "b")]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("words", [["--json", "a.png"], ["a.png", "--json"]])
def test_a_switch_does_not_take_the_next_word(words: list[str]) -> None:
    seen: list[Any] = []
    assert run(words, lambda *given: seen.extend(given), takes_words=True) == 0
    assert seen == [Toy(json=True), ("a.png",)]


@pytest.mark.parametrize("answer", [{"a": 1.5, "b": [True, None]}, []])
def test_json_is_one_document_on_stdout(answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--json"], lambda *_: answer) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == answer
    assert err == ""
    assert run([], lambda *_: answer) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CnnlabError("it\nfailed"), 1),
        (DataError("it failed"), 1),
        (UsageError("it failed"), 2),
        (OSError("it failed"), 1),
    ],
)
def test_errors_are_one_line(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise error

    assert run([], fail) == code
    assert capsys.readouterr() == ("", "error: it failed\n")
    assert run(["--debug"], fail) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Traceback")
    assert err.endswith("error: it failed\n")
    assert run(["--debug=False"], fail) == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_keyboard_interrupt_gives_130(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    assert run([], interrupted) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_a_command_may_choose_its_code() -> None:
    assert run([], lambda *_: sys.exit(143)) == 143


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--siez=3"], "unknown option --siez in the command line; did you mean --size?"),
        (["-s", "3"], "unknown option --s in the command line"),
        (["--size=0"], "--size=0 is not valid: "),
        (["--size"], "--size needs a value, as in --size=VALUE"),
        (["--size", "--json"], "--size needs a value, as in --size=VALUE"),
        (["--name", "--size=3"], "--name needs a value, as in --name=VALUE"),
        (["--name", "-n"], "--name needs a value, as in --name=VALUE"),
        (["-name"], "--name needs a value, as in --name=VALUE"),
        (["--noname"], "--name needs a value, as in --name=VALUE"),
        (["--zzz"], "unknown option --zzz in the command line"),
        (["a"], "unexpected argument a; options are written --name=value"),
        (["--", "--siez=3"], "unexpected argument --"),
        (["a", "-", "b"], "unexpected argument a; options are written --name=value"),
        (["-"], "unexpected argument -; options are written --name=value"),
        (["--=3"], ""),
    ],
)
def test_bad_usage_never_calls_the_command(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[Any] = []
    assert run(words, lambda *given: called.append(given)) == 2
    out, err = capsys.readouterr()
    assert (out, called) == ("", [])
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--siez=3", "--help"], ["a", "--help"]])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: toy\n\nA toy.")
    assert "--size=INT" in out
    assert err == ""


def test_an_answer_and_yet_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: Any) -> None:
        raise cli.Exit(1, [1], error="not all\nof it")

    assert run(["--json"], fail) == 1
    assert capsys.readouterr() == ("[1]\n", "error: not all of it\n")


def test_resolve_makes_the_options() -> None:
    seen: list[Any] = []
    assert run(["--size=3"], lambda *g: seen.append(g[0]), resolve=lambda given: Toy(name="y")) == 0
    assert seen == [Toy(name="y")]


def test_say(capsys: pytest.CaptureFixture[str]) -> None:
    cli.say("a")
    cli.say("b", Toy())
    cli.say("c", Toy(json=True))
    assert capsys.readouterr() == ("a\nb\n", "c\n")


def test_quiet_keeps_the_result_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    def talk(options: Toy, _words: Any) -> Any:
        for kind in ("note", "warning", "skipped"):
            cli.complain("x", kind)
        print_lines("progress", to_stderr=True)
        cli.say("result", options)
        raise DataError("it failed")

    assert run(["--quiet"], talk) == 1
    assert capsys.readouterr() == ("result\n", "skipped: x\nerror: it failed\n")
    assert run(["--quiet", "--json"], talk) == 1
    assert capsys.readouterr() == ("", "skipped: x\nerror: it failed\n")
    assert run([], talk) == 1
    assert capsys.readouterr().err.startswith("note: x\nwarning: x\nskipped: x\nprogress\n")
