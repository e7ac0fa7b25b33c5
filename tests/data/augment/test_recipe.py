"""A recipe's list of augmentations: what is accepted and what is refused."""

from typing import Any

import pytest

from cnnlab.base.errors import UsageError
from cnnlab.config.augmentations import MIXING, mixes_labels
from cnnlab.data.augment import AUGMENTATIONS, parse_augmentations, scaling_of, shape_after

REFUSED: list[tuple[list[Any], str]] = [
    (["flop"], "unknown augmentation flop; did you mean flip?"),
    (["xyz"], "unknown augmentation xyz; known: flip, vertical_flip"),
    ([3], "3 is neither NAME nor {NAME: {argument: value}}"),
    ([{"flip": 3}], "is neither NAME nor {NAME: {argument: value}}"),
    ([{"cutout": {"side": 3}}], "cutout takes no side; it takes: size"),
    ([{"flip": {"p": 0.5}}], "flip takes no p; it takes: none"),
    ([{"cutout": {"size": 0}}], "cutout: size=0 is not valid: it must be greater than"),
    ([{"cutout": {"size": "8"}}], "cutout: size=8 is not valid: it must be a valid integer"),
    ([{"rotate": {"degrees": 200}}], "degrees=200 is not valid: it must be less than"),
    ([{"pad_and_crop": {"mode": "wrap"}}], "mode=wrap is not valid: it must be 'zero'"),
    ([{"contrast": {"lower": 2, "upper": 1}}], "contrast: lower 2.0 is above upper 1.0"),
    (["standardize", "flip"], "standardize takes no arguments and must be the last entry"),
]


@pytest.mark.parametrize(("entries", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_refused(entries: list[Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_augmentations(entries)
    assert message in str(error.value)
    assert str(error.value).startswith("--augment: ")


def test_defaults_are_filled_in() -> None:
    assert parse_augmentations(["flip", {"pad_and_crop": {"pixels": 2}}, {"cutout": None}]) == [
        ("flip", {}),
        ("pad_and_crop", {"pixels": 2, "mode": "zero"}),
        ("cutout", {"size": 8}),
    ]


def test_a_scaling_may_end_the_list() -> None:
    assert scaling_of(["flip", "zca"], "unit") == "zca"
    assert scaling_of(["flip", "zca"], "zca") == "zca"
    assert scaling_of(["flip"], "symmetric") == "symmetric"
    with pytest.raises(
        UsageError, match="ends in zca, but --scaling=normalize; give only one of them"
    ):
        scaling_of(["zca"], "normalize")


def test_shapes_and_entries_that_do_not_fit_them() -> None:
    assert shape_after(["flip", {"random_crop": {"size": 24}}], (32, 28, 3)) == (24, 24, 3)
    for name in ("random_crop", "central_crop"):
        with pytest.raises(UsageError, match=f"{name} of 33 from images of 32 x 40"):
            shape_after([{name: {"size": 33}}], (32, 40, 3))
    jitter = {"size": 24, "lower": 28, "upper": 40}
    assert shape_after([{"scale_jitter": jitter}], (10, 12, 3)) == (24, 24, 3)
    with pytest.raises(UsageError, match=r"scale_jitter crops 24 pixels, but .* only 20"):
        shape_after([{"scale_jitter": {**jitter, "lower": 20}}], (32, 40, 3))
    with pytest.raises(UsageError, match="hue needs colour images with 3 channels; these have 1"):
        shape_after(["hue"], (28, 28, 1))
    with pytest.raises(UsageError, match="translate cannot reflect 8 pixels of images of 8 x 9"):
        shape_after([{"translate": {"pixels": 8}}], (8, 9, 3))


def test_the_names_that_mix_labels_are_there() -> None:
    assert set(MIXING) <= set(AUGMENTATIONS)


def test_mixes_labels_finds_the_mixing_entry() -> None:
    assert mixes_labels(["flip", {"cutmix": {"alpha": 1}}]) == "cutmix"
    assert mixes_labels(["flip", 3, {}]) is None
