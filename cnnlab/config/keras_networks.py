"""The networks whose trained weights `--init_from=imagenet` fetches, and the pixels they expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cnnlab.config.augmentations import SCALINGS

IMAGENET: Final = "imagenet"  # a value of init_from
# The value of `--scaling` that prepares the pixels as `keras.applications.NAME.preprocess_input`.
# Keras's EfficientNet does it inside the network.
SCALING_OF: Final = {
    "densenet121": "torch",
    "efficientnet_b0": "torch",
    "inception_v3": "symmetric",
    "mobilenet_v2": "symmetric",
    "resnet50": "caffe",
    "resnet101": "caffe",
    "vgg16": "caffe",
    "vgg19": "caffe",
}


def with_their_scaling(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's options with the scaling that weights from ImageNet expect.

    A scaling that the user chose, in augment too, stays.

    Args:
        values: option name to value, not yet checked.
    """
    scaling = SCALING_OF.get(str(values.get("model")))
    entries = values.get("augment")
    entries = entries if isinstance(entries, list) else str(entries).replace(" ", "").split(",")
    is_chosen = "scaling" in values or (entries and entries[-1] in SCALINGS)
    if values.get("init_from") != IMAGENET or scaling is None or is_chosen:
        return dict(values)
    return {**values, "scaling": scaling}
