"""Splits of pictures: exact fractions, whole groups, and no dependence on order."""

import random
from collections import Counter

import pytest

from cnnlab.base.errors import DataError, UsageError
from cnnlab.data.folders.dividing import divide
from cnnlab.data.folders.found import Found


def pictures(counts: dict[str, int], split: str | None = None) -> list[Found]:
    return [
        Found(f"/p/{label}/{i}.png", f"{label}/{i}.png", label, split)
        for label, n in counts.items()
        for i in range(n)
    ]


def test_each_class_gives_its_fraction() -> None:
    divided = divide(pictures({"a": 100, "b": 10, "c": 3}), 0.2, 0.1, None)
    assert Counter((one.label, one.split) for one in divided) == {
        ("a", "test"): 20,
        ("a", "validation"): 8,
        ("a", "train"): 72,
        ("b", "test"): 2,
        ("b", "validation"): 1,
        ("b", "train"): 7,
        ("c", "test"): 1,
        ("c", "validation"): 1,
        ("c", "train"): 1,
    }
    with pytest.raises(DataError, match="nothing of the class c"):
        divide(pictures({"a": 100, "b": 10, "c": 1}), 0.2, 0, None)


def test_each_of_several_labels_gives_its_fraction() -> None:
    found = pictures({"a": 40, "a;b": 40, "": 20})
    divided = divide(found, 0.2, 0, None, has_several=True)
    in_test = Counter(one.label for one in divided if one.split == "test")
    assert in_test == {"a": 8, "a;b": 8, "": 4}
    once = [*found, Found("/p/c.png", "c.png", "a;c", None)]
    with pytest.raises(DataError, match="the train set would have nothing of the class c"):
        divide(once, 0.2, 0, None, has_several=True)


def test_the_order_of_files_does_not_matter() -> None:
    found = pictures({"a": 40, "b": 30})
    shuffled = random.Random(1).sample(found, len(found))
    assert set(divide(found, 0.3, 0.2, None)) == set(divide(shuffled, 0.3, 0.2, None))


def test_one_more_picture_moves_few() -> None:
    found = pictures({"a": 200, "b": 200})
    before = {one.name: one.split for one in divide(found, 0.2, 0, None)}
    more = [*found, Found("/p/a/new.png", "a/new.png", "a", None)]
    after = {one.name: one.split for one in divide(more, 0.2, 0, None)}
    assert sum(before[name] != after[name] for name in before) <= 1


def test_groups_stay_together() -> None:
    found = [
        Found("", f"{label}/person{person}_{i}.jpg", label, None)
        for label in ("ill", "well")
        for person in range(40)
        for i in range(person % 4 + 1)
    ]
    divided = divide(found, 0.25, 0.25, r"(person\d+)_")
    splits: dict[str, set[str | None]] = {}
    for one in divided:
        splits.setdefault(one.name.split("/")[1].split("_")[0], set()).add(one.split)
    assert all(len(which) == 1 for which in splits.values())
    sizes = Counter((one.label, one.split) for one in divided)
    assert sizes["ill", "test"] == pytest.approx(25, abs=2)
    assert sizes["well", "test"] == pytest.approx(25, abs=2)


def test_groups_in_two_splits_are_refused() -> None:
    found = [
        Found("", "train/a/p1_1.jpg", "a", "train"),
        Found("", "train/b/p2_1.jpg", "b", "train"),
        Found("", "test/a/p1_2.jpg", "a", "test"),
    ]
    with pytest.raises(DataError, match=r"p1_1.jpg in train and test/a/p1_2.jpg in test"):
        divide(found, 0.2, 0, r"p\d")
    with pytest.raises(UsageError, match=r"--group=q does not match train/a/p1_1\.jpg"):
        divide(found, 0.2, 0, "q")


def test_given_splits_stay() -> None:
    found = [*pictures({"a": 4, "b": 4}, "train"), Found("", "v/a", "a", "validation")]
    assert [one.split for one in divide(found, 0.2, 0, None)] == ["train"] * 8 + ["test"]
    found.append(Found("", "t/a", "a", "test"))
    assert divide(found, 0.2, 0, None) == found
    with pytest.raises(UsageError, match="the data has a validation set"):
        divide(found, 0.2, 0.1, None)
    with pytest.raises(DataError, match="has no split, but others have"):
        divide([*found, Found("", "x/a", "a", None)], 0.2, 0, None)
