"""The options for recipe, data and network."""

from __future__ import annotations

import os
import re
from typing import Any, Literal

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.options import STRICT, Options, option
from cnnlab.config.values import NONE

ColorMode = Literal["rgb", "grayscale", "rgba"]
Resize = Literal["stretch", "pad", "crop"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
# What a data set of pictures begins with; its path follows.
PICTURES = ("folder:", "list:")
Scaling = Literal[
    "unit", "none", "symmetric", "standardize", "normalize", "zca", "pca", "caffe", "torch"
]


def is_pictures(dataset: str) -> bool:
    """Return whether a data set is folder:PATH or list:FILE.csv."""
    return dataset.startswith(PICTURES)


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class InputOptions(Options):
    """The options for recipe, data and network; see `cnnlab.config.config.Config`."""

    config: str | None = option(
        None,
        "recipe to start from: a name in configs/, or the path of a YAML file, such as a run's "
        "config.yaml; other options given override it",
        group="recipe",
        everyday=True,
        is_path=True,
        shapes_result=False,
    )

    dataset: str = option(
        "cifar10",
        "data set: cifar10, cifar100, mnist, fashion_mnist, mnist_distorted or shapes; see cnnlab "
        "datasets\n"
        "folder:PATH: your pictures, PATH/train/CLASS/* with val/ and test/, or PATH/CLASS/*\n"
        "list:FILE.csv: your pictures, a table with the columns path, label and perhaps split; "
        "several columns instead of label are kinds of classes, with a head each",
        group="data",
        everyday=True,
    )
    data_dir: str = option(
        "./data",
        "folder of the data files; missing files are downloaded into it",
        group="data",
        is_path=True,
        shapes_result=False,
    )
    label_mode: Literal["fine", "coarse"] = option(
        "fine", "for cifar100: its 100 fine or its 20 coarse labels", group="data"
    )
    validation_split: float = option(
        0.0,
        "fraction of the training set to hold out for validation, stratified by class; 0: validate "
        "on the test set; for pictures it does not depend on the seed",
        group="data",
        everyday=True,
        ge=0,
        lt=1,
    )
    validate_on: Literal["validation", "test"] = option(
        "validation",
        "set that evaluations during training use\n"
        "validation: the validation set; without one, the test set\n"
        "test: the test set; a validation set is then left for evaluate and predict",
        group="data",
    )
    verify_data: bool = option(
        True,
        "compare the data files with the official checksums; False: accept your own files",
        group="data",
        shapes_result=False,
    )
    heads: list[str] | None = option(
        None,
        "for list:FILE.csv: the columns that are kinds of classes, with a softmax head each, as in "
        "--heads=colour,sleeve",
        default_text="without a column label or labels, all but path and split",
        group="data",
        min_length=1,
    )
    image_size: list[int] | None = option(
        None,
        "for pictures: height and width that all are resized to, as in --image_size=150,150",
        default_text="that of all pictures, if they have the same",
        unit="pixels",
        group="data",
        everyday=True,
    )
    resize: Resize = option(
        "stretch",
        "how image files of another size become the network's input, also those to predict\n"
        "stretch: to the size, whatever their aspect ratio\n"
        "pad: keep the aspect ratio, and fill the rest with black\n"
        "crop: keep the aspect ratio, and cut off what is too much on two opposite sides",
        group="data",
    )
    interpolation: Interpolation = option(
        "bicubic",
        "how the pixels of a resized image are computed; all but nearest with antialiasing",
        group="data",
    )
    color_mode: ColorMode = option(
        "rgb",
        "for pictures: the channels that they are converted to\n"
        "grayscale: one channel\n"
        "rgba: with transparency; otherwise transparent parts become white",
        group="data",
    )
    test_split: float = option(
        0.2,
        "for pictures without a test set: the fraction of each class to hold out for testing",
        group="data",
        gt=0,
        lt=1,
    )
    group: str | None = option(
        None,
        "for pictures: regular expression for the part of a path that names the patient, video or "
        "burst; pictures with the same one are never in two splits, as in --group='person\\d+'",
        group="data",
    )
    bad_files: Literal["error", "skip"] = option(
        "error",
        "for pictures that cannot be read\n"
        "error: stop before training and name the file\n"
        "skip: train without them; config.yaml lists them",
        group="data",
    )
    cache: Literal["auto", "memory", "disk", "none"] = option(
        "auto",
        "where the decoded pixels of pictures are kept; the result of training is the same\n"
        "memory: in memory, decoded when the run starts\n"
        "disk: in a file in cache_dir, written once\n"
        "none: nowhere; each picture is decoded whenever it is needed\n"
        "auto: memory if they take less than a quarter of it, else disk",
        group="data",
        shapes_result=False,
    )
    cache_dir: str | None = option(
        None,
        "for pictures: folder of the files of --cache=disk, and of what --cache=none remembers",
        default_text="the folder .cnnlab_cache beside the pictures",
        group="data",
        is_path=True,
        shapes_result=False,
    )
    augment: list[Any] = option(
        [],
        "augmentations of the training images, applied in this order, as in [flip, "
        "{pad_and_crop: {pixels: 4}}]\ncnnlab augmentations lists them\n"
        "FILE.py:NAME: your function (images, key, **arguments) -> images",
        group="data",
        everyday=True,
    )
    scaling: Scaling = option(
        "unit",
        "how the pixels x become the network's input\n"
        "unit: x/255\n"
        "none: x, from 0 to 255\n"
        "symmetric: x/127.5 - 1\n"
        "standardize: mean 0 and standard deviation 1 in each image\n"
        "normalize: mean 0 and standard deviation 1 in each channel, over the training set\n"
        "zca, pca: whitened with the covariance of the training set\n"
        "caffe, torch: as Keras prepares colour images for weights from ImageNet; its mode tf is "
        "symmetric\n"
        "standardize, normalize, zca and pca may instead be the last entry of augment",
        group="data",
    )

    model: str = option(
        "cifar_cnn",
        "network: a name that cnnlab models lists, or your own function as FILE.py:NAME",
        group="model",
        everyday=True,
    )
    model_options: dict[str, Any] = option(
        {}, "arguments of the network's function, as in {dropout: 0.4}", group="model"
    )

    @pydantic.field_validator("dataset")
    @classmethod
    def _from_any_folder(cls, value: str) -> str:
        """Make the path of pictures absolute, so that a run finds them from any folder."""
        kind, colon, path = value.partition(":")
        if not is_pictures(value):
            return value
        if not path:
            raise ValueError(f"the path is missing, as in {kind}:my_pictures")
        return kind + colon + os.path.abspath(os.path.expanduser(path))

    @pydantic.field_validator("image_size", mode="before")
    @classmethod
    def _height_and_width(cls, value: Any) -> Any:
        """Accept 150 and "150,150" for [150, 150]."""
        if isinstance(value, int):
            return [value, value]
        if isinstance(value, str) and re.fullmatch(r"\d+ *[,x] *\d+", value.strip()):
            return [int(side) for side in re.split("[,x]", value)]
        return value

    @pydantic.field_validator("image_size")
    @classmethod
    def _of_two_sides(cls, value: list[int] | None) -> list[int] | None:
        if value is not None and (len(value) != 2 or min(value) < 1 or max(value) > 10_000):
            raise ValueError("give height and width from 1 to 10000, as in --image_size=150,150")
        return value

    @pydantic.field_validator("heads", mode="before")
    @classmethod
    def _listed_columns(cls, value: Any) -> Any:
        """Accept "colour, sleeve" for a list of names."""
        if not isinstance(value, str):
            return value
        return [name for name in (one.strip() for one in value.split(",")) if name]

    @pydantic.field_validator("group")
    @classmethod
    def _regular_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value

    @pydantic.field_validator("augment", mode="before")
    @classmethod
    def _listed_entries(cls, value: Any) -> Any:
        """Accept flip or "flip, cutout" for a list of names, and one mapping for a list of one."""
        if isinstance(value, str):
            names = [name.strip() for name in value.split(",")]
            return [name for name in names if name not in ("", NONE)]
        return [value] if isinstance(value, dict) else value
