"""The kinds of labels: which they are, and how a data set holds them."""

from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import DataError
from cnnlab.data.arrays import check_fitting, dataset_from_arrays

IMAGES = np.zeros((4, 3, 3), np.uint8)


def made(labels: Any, test: Any = None, **arguments: Any) -> Any:
    return dataset_from_arrays(
        (IMAGES, labels), (IMAGES, labels if test is None else test), **arguments
    )


@pytest.mark.parametrize(
    ("labels", "kind", "names", "held"),
    [
        ([0, 2, 1, 0], "classes", ("0", "1", "2"), [0, 2, 1, 0]),
        ([[0], [2], [1], [0]], "classes", ("0", "1", "2"), [0, 2, 1, 0]),
        (["b", "a", "b", "é"], "classes", ("a", "b", "é"), [1, 0, 1, 2]),
        ([b"b", b"a", b"b", b"b"], "classes", ("a", "b"), [1, 0, 1, 1]),
        (np.array(["b", "a", "b", "b"], object), "classes", ("a", "b"), [1, 0, 1, 1]),
        ([["b"], ["a"], ["b"], ["b"]], "classes", ("a", "b"), [1, 0, 1, 1]),
        ([True, False, True, True], "classes", ("False", "True"), [1, 0, 1, 1]),
        ([1, -1, 1, 1], "classes", ("-1", "1"), [1, 0, 1, 1]),
        (np.eye(5)[[3, 0, 1, 3]], "classes", tuple("01234"), [3, 0, 1, 3]),
        (np.eye(3, dtype=bool)[[2, 0, 1, 2]], "classes", tuple("012"), [2, 0, 1, 2]),
        ([[1, 1], [0, 0], [0, 1], [1, 0]], "labels", ("0", "1"), [[1, 1], [0, 0], [0, 1], [1, 0]]),
        ([0.5, 1, -2, 3], "values", ("value",), [[0.5], [1], [-2], [3]]),
        ([[0.5], [1], [-2], [3]], "values", ("value",), [[0.5], [1], [-2], [3]]),
        (
            [[1.0, 2], [3, 4], [5, 6], [7, 8]],
            "values",
            ("0", "1"),
            [[1, 2], [3, 4], [5, 6], [7, 8]],
        ),
    ],
)
def test_the_training_labels_say_their_kind(
    labels: Any, kind: str, names: tuple[str, ...], held: Any
) -> None:
    data = made(labels)
    assert (data.spec.targets, data.spec.class_names) == (kind, names)
    assert data.train.labels.dtype == (np.int32 if kind == "classes" else np.float32)
    assert data.train.labels.tolist() == held
    # The same labels fit again, as those of evaluate(data=) do.
    assert check_fitting("given", (IMAGES, labels), data.spec).labels.tolist() == held


def test_labels_of_minus_one_and_one() -> None:
    spec = made([1, -1, -1, 1]).spec
    for given, held in {(-1,) * 4: [0] * 4, (1,) * 4: [1] * 4, (0, 1, 0, 1): [0, 1, 0, 1]}.items():
        assert check_fitting("given", (IMAGES, list(given)), spec).labels.tolist() == held
    for wrong in ([-1, 0, 1, 1], [-1, 1, 2, 1]):
        with pytest.raises(DataError, match=r"given labels: label -1 at index 0 is outside 0\.\.1"):
            check_fitting("given", (IMAGES, wrong), spec)
    assert made([1, -1, -1, 1], class_names=["no", "yes"]).train.labels.tolist() == [1, 0, 0, 1]


def test_a_caller_may_name_the_kind() -> None:
    one_hot = np.eye(2, dtype=int)[[0, 1, 1, 0]]
    assert made(one_hot, targets="labels").train.labels.tolist() == one_hot.tolist()
    assert made([1, 2, 3, 4], targets="values").train.labels.tolist() == [[1], [2], [3], [4]]
    assert made([1.0, 2, 3, 4], targets="values").spec.class_names == ("value",)
    assert made([0, 1, 1, 0], targets="labels").train.labels.tolist() == [[0], [1], [1], [0]]


def test_names_may_have_an_order_of_their_own() -> None:
    data = made(["b", "a", "b", "a"], class_names=["b", "c", "a"])
    assert data.train.labels.tolist() == [0, 2, 0, 2]


@pytest.mark.parametrize(
    ("labels", "test", "arguments", "why"),
    [
        (["a", "b"] * 2, ["a", "b", "c", "d"], {}, "test labels: no class c, d; the classes are a"),
        (["a", "b"] * 2, [0, 1, 2, 0], {}, r"test labels: label 2 at index 2 is outside 0\.\.1"),
        (["a", "b", "a", float("nan")], None, {}, "different types; the label at index 3 is nan"),
        (
            np.eye(2)[[0, 1, 1, 0]],
            np.ones((4, 2)),
            {},
            "row at index 0 is not one-hot, as those of",
        ),
        (np.eye(2)[[0, 1, 1, 0]], np.eye(4), {}, r"expected one-hot rows \[n, 2\] or integers"),
        (np.ones((4, 2)), [[0, 1]] * 3 + [[0, 2]], {}, "label 2 at index 3 is neither 0 nor 1"),
        (np.ones((4, 2)), [0, 1, 1, 0], {}, r"expected of 0 and 1 \[n, 2\]"),
        ([0.5] * 4, [[0.5, 1.0]] * 4, {}, r"expected numbers \[n, 1\]: give them one column per"),
        ([0.5] * 4, ["a"] * 4, {}, "test labels are <U1 of shape"),
        ([0.5] * 4, [1e300] * 4, {}, "test labels are too large for float32; divide"),
        ([0.5, np.inf, 0, 0], None, {}, r"at index 1 is \[inf\], not finite; remove the image"),
        ([1.0, 2, 3, 4], None, {}, "if they number classes, .*; if they are values to predict"),
        ([0, 1] * 2, None, {"targets": "class"}, "targets='class' is none of classes, labels, val"),
        (["a", "b"] * 2, None, {"class_names": ["a", "a"]}, "class_names has a twice"),
        ([0, 1] * 2, None, {"image_range": (1, 0)}, r"image_range=\(1, 0\) is not two numbers"),
        ([0, 1] * 2, None, {"image_range": 255}, "image_range=255 is not two numbers, black and"),
    ],
)
def test_labels_that_do_not_fit(
    labels: Any, test: Any, arguments: dict[str, Any], why: str
) -> None:
    with pytest.raises(DataError, match=why) as error:
        made(labels, test, **arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("images", "why"),
    [
        (np.full((4, 3, 3), np.nan), "train images: image 0 has pixels that are not finite"),
        (np.arange(36.0).reshape(4, 3, 3), r"are in 0\.\.35, outside image_range=\(0\.0, 1\.0\)"),
        (IMAGES.astype(str), r"train images are <U\d, expected numbers in 0\.\.1"),
        (IMAGES[:, :, 0] * 1.0, r"train images have shape \(4, 3\), expected"),
    ],
)
def test_images_that_do_not_fit_their_range(images: Any, why: str) -> None:
    with pytest.raises(DataError, match=why):
        dataset_from_arrays((images, [0, 1, 0, 1]), (IMAGES, [0, 1, 0, 1]), image_range=(0, 1))


def test_any_numbers_may_have_a_range() -> None:
    for images in (IMAGES > 0, IMAGES.astype(np.uint16), IMAGES.astype(np.float16), IMAGES):
        data = dataset_from_arrays((images, [0, 1, 0, 1]), (images, [0] * 4), image_range=(0, 9))
        assert data.train.images.dtype == np.float32
    rounded = np.full((4, 3, 3), 0.1)  # in float32, it is above 0.1
    assert dataset_from_arrays((rounded, [0] * 4), (rounded, [0] * 4), image_range=(0, 0.1))
