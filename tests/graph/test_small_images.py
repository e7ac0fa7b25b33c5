"""Images that are too small for a network: every model says so in one line."""

import re

import pytest

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.data.specs import DatasetSpec
from cnnlab.graph.inference_graph import build_inference_graph
from cnnlab.graph.parts import Parts
from cnnlab.graph.small_images import naming_small_images
from cnnlab.models import MODELS


def problem_of(model: str, size: int) -> str | None:
    """Build a network for square images; return the error, or None."""
    config = Config(dataset="mine", model=model)
    spec = DatasetSpec("mine", (size, size, 3), tuple("abcd"), 20, 20)
    try:
        with tf.Graph().as_default():
            build_inference_graph(config, spec, Parts.of(config))
    except CnnlabError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("model", "size", "layer"),
    [
        ("xray_cnn", 8, "conv2 gets 1x1"),
        ("cifar_cnn", 4, "pool3 gets 1x1"),
        ("mnist_convnet", 4, "conv2 gets 1x1"),
    ],
)
def test_the_layer_and_its_size_are_named(model: str, size: int, layer: str) -> None:
    assert problem_of(model, size) == (
        f"images of {size}x{size} are too small for the model: its layer {layer}; use larger "
        "images, other --model_options or another model"
    )


@pytest.mark.slow
def test_every_model_refuses_small_images_in_one_line() -> None:
    refused = set()
    for model in MODELS:
        for size in (1, 2, 3, 4, 5, 8):
            if (problem := problem_of(model, size)) is not None:
                pattern = r"images of \d+x\d+ are too small for the model[:,] .+"
                assert re.fullmatch(pattern, problem), (model, size, problem)
                refused.add(model)
    assert {"xray_cnn", "airbench94", "stn", "vgg16"} <= refused


def test_other_errors_of_a_model_pass() -> None:
    with pytest.raises(ValueError, match="mine"), naming_small_images(tf.zeros([1, 2, 2, 1])):
        raise ValueError("mine")
