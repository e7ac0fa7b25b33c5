"""YAML is read as the core schema of YAML 1.2 says, and what is written is read back."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cnnlab.base.errors import UsageError
from cnnlab.config.recipes import recipe_paths
from cnnlab.config.resolve import resolve
from cnnlab.config.yaml_text import dump_yaml, parse_yaml, read_yaml_mapping
from cnnlab.tune.options import TuneOptions

TEXTS = ["1:30", "1:30.5", "yes", "No", "on", "OFF", "y", "2020-01-01", "2020-01-01 10:00:00"]
TEXTS += [
    "1_000",
    "0b11",
    "=",
    "<<",
    "nan",
    "inf",
    "1e",
    "0o8",
    "0xg",
    "+",
    ".",
    "1.5.2",
    "- x",
    "#",
]


@pytest.mark.parametrize("text", [*TEXTS[:-2], "1,2"])
def test_texts(text: str) -> None:
    assert parse_yaml(text, "x") == text
    assert parse_yaml(f"[{{{text}: {text}}}]".replace("1,2", "'1,2'"), "x") == [{text: text}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("-08", -8),
        ("+3", 3),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e-4", 1e-4),
        ("1.0e+3", 1000.0),
        (".5", 0.5),
        ("-1.", -1.0),
        (".inf", float("inf")),
        ("-.INF", -float("inf")),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'yes'", "yes"),
    ],
)
def test_numbers_switches_and_null(text: str, value: object) -> None:
    found = parse_yaml(text, "x")
    assert found == value
    assert type(found) is type(value)


def test_a_number_that_is_too_long() -> None:
    with pytest.raises(UsageError, match="x is not valid YAML"):
        parse_yaml("1" * 5000, "x")


AWKWARD: list[Any] = [
    *TEXTS,
    "010",
    "08",
    "0o17",
    "0x1F",
    "1e5",
    "12345e67",
    "true",
    "null",
    "~",
    "",
]
AWKWARD += [10, -8, 1e-7, 1e22, float("inf"), True, None, "a\nb", "größe", {"no": {3: ["on"]}}]


@pytest.mark.parametrize("value", AWKWARD)
def test_what_is_written_is_read_back(value: Any) -> None:
    text = dump_yaml({"x": value})
    assert parse_yaml(text, "x") == {"x": value}
    assert yaml.safe_load(text) == {"x": value}  # by a reader of YAML 1.1, too


def test_a_run_directory_whose_name_is_like_a_number(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(dump_yaml({"save_dir": "1e5", "log_dir": "010"}))
    config = resolve({"config": "r.yaml"})
    assert (config.save_dir, config.log_dir) == ("1e5", "010")


def test_every_shipped_recipe_means_the_same_to_both() -> None:
    for path in recipe_paths().values():
        assert read_yaml_mapping(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_flags_and_spaces() -> None:
    space = resolve({"space": parse_yaml("{class_name: [no, 1:30]}", "x")}, TuneOptions).space
    assert space == {"class_name": ["no", "1:30"]}
