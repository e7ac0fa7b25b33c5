"""The options for recipe, data and network."""

from __future__ import annotations

from typing import Any, Literal

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.options import STRICT, Options, option
from cnnlab.config.values import NONE

Scaling = Literal["unit", "symmetric", "standardize", "normalize", "zca", "pca"]


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
        "data set: cifar10, cifar100, mnist, fashion_mnist or shapes; see cnnlab datasets",
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
        "on the test set",
        group="data",
        everyday=True,
        ge=0,
        lt=1,
    )
    verify_data: bool = option(
        True,
        "compare the data files with the official checksums; False: accept your own files",
        group="data",
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
        "symmetric: x/127.5 - 1\n"
        "standardize: mean 0 and standard deviation 1 in each image\n"
        "normalize: mean 0 and standard deviation 1 in each channel, over the training set\n"
        "zca, pca: whitened with the covariance of the training set\n"
        "the last four may instead be the last entry of augment",
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

    @pydantic.field_validator("augment", mode="before")
    @classmethod
    def _listed_entries(cls, value: Any) -> Any:
        """Accept flip or "flip, cutout" for a list of names, and one mapping for a list of one."""
        if isinstance(value, str):
            names = [name.strip() for name in value.split(",")]
            return [name for name in names if name not in ("", NONE)]
        return [value] if isinstance(value, dict) else value
