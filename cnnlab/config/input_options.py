"""The options that say what is trained on what: recipe, data, network."""

from __future__ import annotations

from typing import Any, Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.augmentations import AUGMENTATIONS
from cnnlab.config.options import STRICT, Options, option

Scaling = Literal["unit", "symmetric", "standardize", "normalize", "zca", "pca"]


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class InputOptions(Options):
    """Recipe, data and network; see `cnnlab.config.config.Config`."""

    config: str | None = option(
        None,
        "recipe: a name of configs/ or the path of a YAML file",
        group="recipe",
        shapes_result=False,
    )

    dataset: str = option(
        "cifar10", "data set: cifar10, cifar100, mnist, fashion_mnist or shapes", group="data"
    )
    data_dir: str = option(
        "./data",
        "folder of the data files; fetched into it if absent",
        group="data",
        shapes_result=False,
    )
    label_mode: Literal["fine", "coarse"] = option(
        "fine", "CIFAR-100: its 100 fine or 20 coarse labels", group="data"
    )
    validation_split: float = option(
        0.0,
        "share of the training images held out for validation, stratified; 0: use the test set",
        group="data",
        ge=0,
        lt=1,
    )
    verify_data: bool = option(
        True,
        "compare data files with the official checksums; False for your own files",
        group="data",
        shapes_result=False,
    )
    augment: list[Any] = option(
        [],
        "training-time augmentations in order, as in [flip, {pad_and_crop: {pixels: 4}}]: "
        + ", ".join(AUGMENTATIONS),
        group="data",
    )
    scaling: Scaling = option(
        "unit",
        "pixels to input: unit x/255, symmetric x/127.5 - 1, standardize: mean 0, sd 1 an image, "
        "normalize: mean 0, sd 1 of each channel over the training set, zca or pca: whitened by "
        "the training set's covariance; the last four may also end augment",
        group="data",
    )

    model: str = option("cifar_cnn", "network: a name of cnnlab.models.MODELS", group="model")
    model_options: dict[str, Any] = option(
        {}, "the network function's own arguments, as in {dropout: 0.4}", group="model"
    )
