"""--help in two levels, at the width of the terminal."""

from typing import Any, Literal

import pytest
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.config import help as help_module
from cnnlab.config.config import Config
from cnnlab.config.help import describe, help_text
from cnnlab.config.options import STRICT, Options, fields_of, option
from cnnlab.data.__main__ import DataOptions
from cnnlab.evaluate import EvaluateOptions
from cnnlab.export import ExportOptions
from cnnlab.predict import PredictOptions
from cnnlab.report import ReportOptions
from cnnlab.reproduce import ReproduceOptions
from cnnlab.tune.options import TuneOptions

ALL = (
    *(Config, EvaluateOptions, PredictOptions, DataOptions),
    *(ExportOptions, ReportOptions, ReproduceOptions, TuneOptions),
)


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class Fruit(Options):
    """A command with one option of each type."""

    count: int = option(3, "how many", unit="apples", group="size", everyday=True, ge=1, lt=100)
    weight: float | None = option(None, "of all", unit="kg", group="size", gt=0)
    kind: Literal["red", "green"] = option("red", "colour\nred: ripe", group="look")
    learning_rate: float = option(1.0, "how fast", group="look")


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class Salad(Fruit):
    """A command that inherits these options."""

    sauce: str = option("oil", "on top", group="bowl")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def flags_in(text: str) -> list[str]:
    return [line.split("=")[0].strip() for line in text.splitlines() if line.startswith("  --")]


def test_help_has_type_range_unit_and_default_under_the_group() -> None:
    lines = help_text(Fruit, "fruit [--name=value]", "About fruit.").splitlines()
    assert lines[0] == "usage: fruit [--name=value]"
    assert "About fruit." in lines
    by_flag = {line.split()[0]: line for line in lines if line.startswith("  --")}
    assert by_flag["--count=INT"].endswith("how many [>= 1 and < 100; apples; default: 3]")
    assert by_flag["--weight=NUMBER|none"].endswith("of all [> 0; kg; default: none]")
    assert by_flag["--kind=red|green"].endswith("colour [default: red]")
    assert by_flag["--learning_rate=NUMBER"].endswith("how fast [default: 1.0; also --lr]")
    assert lines.index("size:") < lines.index(by_flag["--weight=NUMBER|none"])
    assert lines.index(by_flag["--weight=NUMBER|none"]) < lines.index("look:")


def test_own_options_come_first_and_of_others_the_everyday_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flags = ["--sauce", "--count", "--weight", "--kind", "--learning_rate", "--json", "--quiet"]
    assert flags_in(help_text(Salad, "u", "a")) == [*flags, "--debug"]
    monkeypatch.setattr(help_module, "_FEW", 3)
    text = help_text(Salad, "u", "a")
    assert flags_in(text) == ["--sauce", "--count", "--json", "--quiet"]
    assert " ".join(text.split()).endswith(
        "--help=all explains all 8 options and their choices, --help=GROUP those of a group: bowl, "
        "size, look, output."
    )


def test_help_of_a_group_and_of_all_has_the_choices() -> None:
    assert "red: ripe" not in help_text(Fruit, "u", "a")
    look = help_text(Salad, "u", "a", "look")
    assert flags_in(look) == ["--kind", "--learning_rate"]
    assert "red: ripe" in look
    everything = help_text(Salad, "u", "a", "all")
    assert sorted(flags_in(everything)) == sorted(f"--{name}" for name in fields_of(Salad))
    assert "red: ripe" in everything
    message = "--help=lok: no such group; did you mean look?; there are bowl, size, look, output"
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        help_text(Salad, "u", "a", "lok")


@pytest.mark.parametrize("columns", [30, 40, 80, 100, 300])
@pytest.mark.parametrize("options_class", [Config, TuneOptions, PredictOptions])
def test_lines_fit_the_terminal(options_class: Any, columns: int, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = help_text(options_class, "u", "a " * 100, "all").splitlines()
    widest = max(len(line) for line in lines if not line.startswith("  --"))
    assert widest <= max(40, min(columns, 120))
    assert widest > 0.9 * max(40, min(columns, 120))


def test_without_a_terminal_lines_have_80_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    widest = max(map(len, help_text(Config, "u", "a", "all").splitlines()))
    assert 70 < widest <= 80


@pytest.mark.parametrize("options_class", ALL)
def test_help_of_every_command_is_complete(options_class: type) -> None:
    text = help_text(options_class, "u", "a", "all")
    assert sorted(flags_in(text)) == sorted(f"--{name}" for name in fields_of(options_class))
    assert "VALUE" not in text  # every type has a name
    assert "default: PydanticUndefined" not in text


@pytest.mark.parametrize("options_class", ALL)
def test_help_is_short(options_class: type) -> None:
    assert 4 <= len(flags_in(help_text(options_class, "u", "a"))) <= 26


def test_the_everyday_options_of_a_run() -> None:
    everyday = flags_in(help_text(Config, "u", "a"))
    assert 12 <= len(everyday) <= 18
    assert {"--model", "--dataset", "--steps", "--learning_rate", "--save_dir"} < set(everyday)
    assert everyday[-2:] == ["--json", "--quiet"]
    assert describe(Config)["batch_size"].aliases == ("batch", "bs")
