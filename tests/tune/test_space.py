"""The search space: names, choices, ranges, and errors."""

import itertools
from typing import Any

import pytest

from cnnlab import Train
from cnnlab.base.errors import UsageError
from cnnlab.tune.options import TuneOptions, varying_options
from cnnlab.tune.space import Space, parse_space

ARGUMENTS = ["dense_units", "dropout", "activation"]
BASE: dict[str, Any] = {"dataset": "mnist", "model": "mnist_mlp", "model_options": {"dropout": 0.4}}


def parsed(space: dict[Any, Any]) -> Space:
    return parse_space(space, varying_options(), ARGUMENTS)


def check(values: dict[str, Any]) -> None:
    Train(**values)


def test_choices_and_ranges() -> None:
    space = parsed(
        {
            "dense_units": [16, [128, 60]],
            "learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
            "model_options.dropout": {"low": 0, "high": 0.5},
            "batch_size": {"low": 32, "high": 100, "step": 32},
            "train.activation": ["relu", None],
        }
    )
    found = [(d.names, d.samples()) for d in space.dimensions]
    assert found[0] == (("model_options.dense_units",), [16, "[128, 60]"])
    assert found[1][1][:2] == [1e-4, 0.1]
    assert found[2][0] == ("model_options.dropout",)
    assert found[2][1][:2] == [0.0, 0.5]
    assert found[3] == (("batch_size",), [32, 64, 96])
    assert space.dimensions[3].grid() == [32, 64, 96]
    assert found[4] == (("activation",), ["relu", None])


def test_a_point_becomes_a_runs_options() -> None:
    space = parsed(
        {
            "dense_units": [16, [128, 60]],
            "optimizer, learning_rate": [["adam", 0.001], ["sgd", 0.01]],
            "epochs": [1, 2],
        }
    )
    point = {
        "dense_units": "[128, 60]",
        "optimizer, learning_rate": '["sgd", 0.01]',
        "epochs": 2,
    }
    assert space.apply({**BASE, "steps": 9}, point) == {
        "dataset": "mnist",
        "model": "mnist_mlp",
        "model_options": {"dropout": 0.4, "dense_units": [128, 60]},
        "optimizer": "sgd",
        "learning_rate": 0.01,
        "epochs": 2,
    }
    named = {"dense_units": [128, 60], "optimizer": "sgd", "learning_rate": 0.01, "epochs": 2}
    assert space.named(point) == named
    # All values in a column of the dashboard have one kind.
    assert space.shown(point) == {**named, "dense_units": "[128, 60]"}
    assert space.domains() == {
        "dense_units": ["16", "[128, 60]"],
        "optimizer": ["adam", "sgd"],
        "learning_rate": [0.001, 0.01],
        "epochs": [1, 2],
    }


def test_an_alias_is_the_option() -> None:
    space = parsed({"lr": [0.1], "bs, epoch": [[10, 1]]})
    assert [d.names for d in space.dimensions] == [("learning_rate",), ("batch_size", "epochs")]
    with pytest.raises(UsageError, match="--space has learning_rate twice"):
        parsed({"lr": [0.1], "learning_rate": [0.2]})


def test_the_last_dimension_of_a_grid_varies_fastest() -> None:
    space = parsed({"dense_units": [16, 32], "dropout": [0.1, 0.2], "optimizer": ["adam", "sgd"]})
    points, left_out = space.grid(BASE, check)
    product = itertools.product([16, 32], [0.1, 0.2], ["adam", "sgd"])
    assert [tuple(point.values()) for point in points] == list(product)
    assert left_out == ""
    assert space.grid_size == 8


def test_combinations_that_make_no_sense_are_left_out() -> None:
    space = parsed({"optimizer": ["sgd", "momentum"], "momentum": [None, 0.9]})
    space.check(BASE, check)
    points, left_out = space.grid(BASE, check)
    assert [tuple(point.values()) for point in points] == [
        ("sgd", None),
        ("momentum", None),
        ("momentum", 0.9),
    ]
    assert left_out.startswith("1 of 4 combinations are left out: --momentum has no meaning with")


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"dense_unit": [16]}, "--space: unknown option dense_unit.*; did you mean dense_units?"),
        ({"learnig_rate": [1]}, "did you mean learning_rate?"),
        ({"save_dir": ["a"]}, "unknown option save_dir, or one that no search can vary"),
        ({"validation_split": [0.1]}, "unknown option validation_split, or one"),
        ({"model_options.drop": [1]}, "unknown option model_options.drop; did you mean dropout?"),
        ({"activation": ["relu"]}, "write train.activation or model_options.activation"),
        ({"epochs": [1], "train.epochs": [2]}, "--space has epochs twice"),
        ({"epochs": []}, "epochs has no choices"),
        ({"epochs": [1, 2, 1]}, "epochs has 1 twice"),
        ({"epochs": 3}, "epochs: 3 is not a list of choices, or a range as in {low: 1e-4"),
        ({"epochs, seed": {"low": 1, "high": 2}}, "is not a list of choices"),
        ({"epochs, seed": [[1, 2], [3]]}, "is not a list of 2 values"),
        (
            {"epochs": {"low": 1, "high": 2, "lgo": True}},
            "a range may have low, high, step, log, not lgo",
        ),
        ({"epochs": {"low": 1}}, "a range needs high"),
        ({"epochs": {"low": 1, "high": "x"}}, "has high: x, which is not a number"),
        ({"epochs": {"low": True, "high": 2}}, "has low: True, which is not a number"),
        ({"epochs": {"low": 1, "high": float("inf")}}, "has high: inf, which is not finite"),
        ({"epochs": {"low": 2, "high": 2}}, "low: 2, which is not below high: 2"),
        ({"epochs": {"low": 0, "high": 2, "log": True}}, "log: true needs low > 0, and may have"),
        ({"epochs": {"low": 1, "high": 9, "log": True, "step": 2}}, "and may have no step"),
        ({"epochs": {"low": 1, "high": 2, "step": 3}}, "not above 0 and at most high - low = 1"),
        ({"epochs": {"low": 1, "high": 2, "log": 1}}, "has log: 1, which is not true or false"),
    ],
)
def test_spaces_that_are_wrong(space: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parsed(space)
    assert all(part in str(error.value) for part in message.split(".*"))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"dropout": [0.1, 1.5]}, "--space: dropout: --model_options: the model: dropout=1.5"),
        ({"dense_units": {"low": 0, "high": 9}}, "dense_units=0 is not valid"),
        ({"dense_units": {"low": 16.0, "high": 32.0}}, "is not valid"),
        ({"optimizer": ["adam", "adm"]}, "--space: optimizer: --optimizer=adm is not valid"),
        ({"batch_size": {"low": 8.0, "high": 64.0}}, "--space: batch_size: --batch_size="),
        ({"momentum": [0.9]}, "--momentum has no meaning with --optimizer=adam"),
        ({"model": ["mnist_mlp", "mnist_mpl"]}, "did you mean mnist_mlp?"),
    ],
)
def test_values_that_are_not_valid(space: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parsed(space).check(BASE, check)
    assert message in str(error.value)


def test_grids_that_are_infinite_or_too_large() -> None:
    with pytest.raises(UsageError, match="learning_rate is a range without a step"):
        parsed({"learning_rate": {"low": 0.1, "high": 0.2}}).grid(BASE, check)
    with pytest.raises(UsageError, match="seed has 100,001 values, too many for a grid"):
        parsed({"seed": {"low": 0, "high": 100_000}}).grid(BASE, check)
    many = {"seed": {"low": 0, "high": 99}, "batch_size": {"low": 1, "high": 99}}
    with pytest.raises(UsageError, match="a grid of 9,900 points, more than 2,000; choose"):
        parsed(many).grid(BASE, check)


def test_a_space_in_a_file(tmp_path: Any) -> None:
    (tmp_path / "space.yaml").write_text("learning_rate: {low: 1e-4, high: 1e-1, log: true}\n")
    (dimension,) = TuneOptions(space="space.yaml").parsed_space().dimensions
    assert dimension.samples()[:2] == [1e-4, 0.1]
    with pytest.raises(UsageError, match=r"--space=no\.yaml is neither a mapping nor a file"):
        TuneOptions(space="no.yaml").parsed_space()
    with pytest.raises(UsageError, match="set the options that vary, as in --space="):
        TuneOptions().parsed_space()


def test_trials_are_compared_on_validation_images() -> None:
    assert TuneOptions().run_options()["validation_split"] == 0.1
    assert TuneOptions(validation_split=0.3).run_options()["validation_split"] == 0.3
