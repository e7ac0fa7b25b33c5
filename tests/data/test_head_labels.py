"""Labels of several heads: every form that they are given in, and what is refused."""

from typing import Any

import numpy as np
import pandas
import pytest

from cnnlab.base.errors import DataError, UsageError
from cnnlab.config.config import Config
from cnnlab.config.options import build
from cnnlab.data.arrays import check_fitting, dataset_from_arrays
from cnnlab.data.head_labels import classes_of_head
from cnnlab.data.target_options import check_target_options

IMAGES = np.zeros((4, 3, 3), np.uint8)
COLOURS, SIZES = ["red", "blue", "red", "grey"], [0, 1, 1, 0]
GIVEN = {"colour": COLOURS, "size": SIZES}
NAMES = ("colour=blue", "colour=grey", "colour=red", "size=0", "size=1")
HELD = [[0, 0, 1, 1, 0], [1, 0, 0, 0, 1], [0, 0, 1, 0, 1], [0, 1, 0, 1, 0]]


def made(labels: Any, test: Any = None, **arguments: Any) -> Any:
    return dataset_from_arrays(
        (IMAGES, labels), (IMAGES, labels if test is None else test), **arguments
    )


def examples() -> Any:
    for image, colour, size in zip(IMAGES, COLOURS, SIZES, strict=True):
        yield image, {"colour": colour, "size": size}


def batches() -> Any:
    for part in (slice(0, 1), slice(1, 4)):
        columns = {name: np.array(column)[part] for name, column in GIVEN.items()}
        yield IMAGES[part, :, :, None], columns


@pytest.mark.parametrize(
    "labels",
    [
        GIVEN,
        pandas.DataFrame(GIVEN),
        pandas.DataFrame(GIVEN).to_records(index=False),
        [dict(zip(GIVEN, row, strict=True)) for row in zip(*GIVEN.values(), strict=True)],
        {"colour": np.array(COLOURS), "size": np.eye(2)[SIZES]},
    ],
    ids=["mapping", "frame", "records", "rows", "one-hot"],
)
def test_every_form_is_held_alike(labels: Any) -> None:
    data = made(labels)
    assert (data.spec.targets, data.spec.class_names) == ("heads", NAMES)
    assert data.train.labels.dtype == np.float32
    assert data.train.labels.tolist() == HELD
    # What a Split holds fits again, and so does what evaluate(data=) gets.
    for again in (labels, data.train.labels):
        assert check_fitting("given", (IMAGES, again), data.spec).labels.tolist() == HELD


@pytest.mark.parametrize("source", [examples, batches])
def test_elements_of_a_function_may_have_a_label_for_each_head(source: Any) -> None:
    data = dataset_from_arrays(source, source)
    assert data.spec.class_names == NAMES
    assert data.train.labels.tolist() == HELD


def test_an_element_without_a_head_is_refused() -> None:
    def source() -> Any:
        for place, (image, label) in enumerate(examples()):
            yield image, {"size": label["size"]} if place == 2 else label

    rows = list(source())
    for data in (source, Rows(rows)):
        with pytest.raises(DataError, match="labels of the heads size after colour, size; give"):
            dataset_from_arrays(data, (IMAGES, GIVEN))


class Rows:
    """Data that is indexed."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Any:
        return self._rows[index]


def test_integers_need_the_kind_and_may_have_names() -> None:
    numbers = [[2, 0], [0, 1], [2, 1], [1, 0]]
    names = {"head_0": ["blue", "grey", "red"], "head_1": ["small", "large"]}
    data = made(numbers, targets="heads", class_names=names)
    assert data.spec.class_names[2:4] == ("head_0=red", "head_1=small")
    assert data.train.labels.tolist() == HELD
    assert check_fitting("given", (IMAGES, numbers), data.spec).labels.tolist() == HELD
    with pytest.raises(DataError, match="classes of one head, targets='heads'"):
        made(numbers)


def test_the_heads_of_the_facts() -> None:
    data = made(GIVEN, {"size": SIZES, "colour": COLOURS[::-1]})  # in any order
    colour, size = data.spec.heads
    assert (colour.name, colour.class_names, colour.columns) == (
        "colour",
        ("blue", "grey", "red"),
        slice(0, 3),
    )
    assert (size.class_names, size.columns) == (("0", "1"), slice(3, 5))
    assert classes_of_head(data.test.labels, colour).tolist() == [1, 2, 0, 2]
    assert data.spec.describe_heads() == "heads: colour (3 classes), size (2 classes)"


@pytest.mark.parametrize(
    ("labels", "arguments", "message"),
    [
        ({"colour": COLOURS, "size": [0, 0, 0, 0]}, {}, "the head size has only the class 0"),
        ({"colour": [*COLOURS[:3], ""]}, {}, "train colour labels: .* index 3 is missing"),
        (
            {"colour": [*COLOURS[:3], np.nan]},
            {},
            "train colour labels .* the label at index 3 is n",
        ),
        ({"size": [0, 1, -1, 0]}, {}, "train size labels: .*-1 at"),
        ({"size": [0, 1, 1]}, {}, "train has 4 images and 3 labels"),
        ({"colour": COLOURS, "size": [0, 1]}, {}, "different numbers of labels: colour 4, size 2"),
        ({"my colour": COLOURS}, {}, "the head 'my colour'; a name has only .*, as in my_colour"),
        ({"a": SIZES, "A": SIZES}, {}, "has the heads a and A; rename one"),
        ({}, {}, "has no head; name each kind"),
        (GIVEN, {"targets": "labels"}, "targets='labels' does not fit labels that are given for"),
        (
            GIVEN,
            {"class_names": ["a", "b"]},
            "mapping with the names of .* each head: colour, size",
        ),
        ([0, 1, 1, 0], {"targets": "heads"}, r"shape \(4,\), expected .*integers \[n, heads\]"),
        ([{"a": 1}, {"a": 0}, {"b": 0}, {"a": 1}], {}, "index 2 and the first one .* the head a"),
    ],
)
def test_labels_that_are_refused(labels: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        made(labels, **arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"colour": COLOURS}, "test labels: the head size is missing"),
        ({**GIVEN, "sise": SIZES}, "test labels: there is no head sise; did you mean size"),
        ({**GIVEN, "colour": ["red", "pink", "red", "red"]}, "test colour labels: no class pink"),
    ],
)
def test_the_other_splits_have_the_same_heads(labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        made(GIVEN, labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head_weights": {"color": 1}}, "no head color; did you mean colour"),
        ({"head_weights": {"colour": 0, "size": 0}}, "at least one factor must be above 0"),
        ({"head_weights": {"size": -1}}, "every factor must be >= 0"),
        ({"head_weights": {"size": 2}, "loss": "a.py:own"}, "does not act on --loss=a.py:own"),
        ({"heads": ["size"]}, "--heads names columns of a table; it is for --dataset=list:FILE"),
        ({"loss": "sigmoid"}, "--loss=sigmoid is for one class an image, .* use --loss=softmax"),
        ({"loss": "sparse_softmax"}, "use --loss=softmax"),
        ({"class_mode": "categorical"}, "--class_mode=categorical is for one class an image"),
        ({"class_weights": "balanced"}, "--class_weights is for one class an image"),
        ({"sampling": "oversample"}, "--sampling=oversample is for one class an image"),
        ({"loss": "a.py:own", "output": "tanh"}, "the output of each head is a softmax"),
        ({"metrics": {"size_loss": "a.py:own"}}, "size_loss is a figure of a head"),
    ],
)
def test_options_that_do_not_fit_heads(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        check_target_options(build(Config, options), made(GIVEN).spec)
    assert "\n" not in str(error.value)


def test_names_of_columns_may_be_one_text() -> None:
    given = {"dataset": "list:a.csv", "heads": "colour, size"}
    assert build(Config, given).heads == ["colour", "size"]


def test_options_that_fit_and_data_without_heads() -> None:
    config = build(Config, {"head_weights": {"size": 0.5}, "label_smoothing": 0.1})
    check_target_options(config, made(GIVEN).spec)
    with pytest.raises(UsageError, match=r"--head_weights is for data with .* arrays has none"):
        check_target_options(config, made(COLOURS).spec)
    taken = made({"top5": SIZES, "size": SIZES}).spec
    with pytest.raises(UsageError, match="the figure top5_accuracy, which is taken; rename it"):
        check_target_options(build(Config, {}), taken)
