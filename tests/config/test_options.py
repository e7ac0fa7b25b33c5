"""Options are declared, parsed, checked and explained."""

from typing import Any, Literal

import pytest
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.config import options as opts
from cnnlab.config.options import STRICT, Options, option


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class Fruit(Options):
    """A class with one option of each type."""

    count: int = option(3, "how many", unit="apples", group="size", ge=1, lt=100)
    weight: float | None = option(None, "of all", unit="kg", group="size", gt=0)
    kind: Literal["red", "green"] = option("red", "colour", group="look")
    tags: list[Any] = option([], "notes", group="look")
    extra: dict[str, Any] = option({}, "more", group="look")
    fresh: bool = option(True, "not old", group="look")
    name: str = option("x", "called", min_length=1)


def parsed(**texts: str) -> Fruit:
    return opts.build(Fruit, {n: opts.parse_text(n, t, Fruit) for n, t in texts.items()})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "7", 7),
        ("weight", "1e-3", 0.001),
        ("weight", "none", None),
        ("weight", "NULL", None),
        ("kind", "green", "green"),
        ("kind", "GREEN", "green"),
        ("kind", "Red", "red"),
        ("tags", "[flip, {crop: {pixels: 4}}]", ["flip", {"crop": {"pixels": 4}}]),
        ("extra", "{rate: 0.5}", {"rate": 0.5}),
        ("fresh", "False", False),
        ("fresh", "true", True),
        ("name", "none", "none"),
        ("name", "3", "3"),
    ],
)
def test_text_becomes_the_value(name: str, text: str, value: object) -> None:
    found = getattr(parsed(**{name: text}), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "count",
            "0",
            r"--count=0 is not valid: .*greater than or equal to 1 .*INT, >= 1 and < 10",
        ),
        ("count", "100", r"--count=100 is not valid: it must be less than 100 \(takes INT.*app"),
        ("count", "-3", "--count=-3 is not valid"),
        ("count", "many", r"--count=many is not valid: it must be a valid integer.*\(takes INT"),
        ("count", "2.5", r"--count=2\.5 is not valid"),
        ("count", "1e3", "--count=1e3 is not valid"),
        ("count", "none", "--count=none is not valid"),
        ("weight", "0", r"--weight=0 is not valid: it must be greater than 0 .*NUMBER\|none, .*kg"),
        ("weight", "nan", "--weight=nan is not valid"),
        ("weight", "", "--weight= is not valid"),
        ("kind", "blue", r"=blue is not valid: it must be 'red' or 'green' \(takes red\|green\)"),
        ("tags", "flip", "--tags=flip is not valid.*LIST"),
        ("tags", "[flip", r"--tags=\[flip is not valid YAML"),
        ("extra", "[1]", "--extra=.* is not valid.*MAPPING"),
        ("fresh", "perhaps", r"--fresh=perhaps is not valid.*True\|False"),
        ("name", "", "--name= is not valid"),
    ],
)
def test_an_error_names_the_wrong_value_and_valid_ones(name: str, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        parsed(**{name: text})
    assert "\n" not in str(error.value)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown option cuont in the options; did you mean cou"):
        opts.build(Fruit, {"cuont": 3})
    with pytest.raises(UsageError, match=r"unknown option --wieght .*; did you mean --weight\?"):
        opts.check_names({"wieght": 1}, Fruit, "the command line")
    with pytest.raises(UsageError, match="unknown option zzzzzz in recipe r; see docs/options"):
        opts.check_names({"zzzzzz": 1}, Fruit, "recipe r")


def test_an_unknown_word_of_an_option_is_refused_with_the_nearest() -> None:
    message = r"--kind=gren is not valid: .* \(takes red\|green\); did you mean green\?"
    with pytest.raises(UsageError, match=message):
        opts.build(Fruit, {"kind": "gren"})


def test_nearest() -> None:
    assert opts.nearest("mnits", ["cifar10", "mnist"]) == "; did you mean mnist?"
    assert opts.nearest("qqq", ["cifar10", "mnist"]) == ""


def test_options_do_not_change_but_are_replaced() -> None:
    fruit = Fruit(count=5)
    other = opts.replace(fruit, kind="green")
    assert (other.count, other.kind, fruit.kind) == (5, "green", "red")
    assert opts.as_dict(other)["count"] == 5
    assert opts.build(Fruit, opts.as_dict(other)) == other
    with pytest.raises(UsageError, match="--count=0"):
        opts.replace(fruit, count=0)
    with pytest.raises(AttributeError):
        fruit.count = 6  # type: ignore[misc]


def test_defaults_are_not_shared() -> None:
    Fruit().tags.append("worm")
    assert Fruit().tags == []
