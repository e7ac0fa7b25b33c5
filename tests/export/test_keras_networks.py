"""Each network of cnnlab as a model of Keras, or the layer that has no twin."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import CnnlabError
from cnnlab.data.specs import DatasetSpec
from cnnlab.export.keras_model import build_keras_model
from cnnlab.models import MODELS
from tests.export.test_keras_model import assert_same_logits, program

# Keras 3.15 converts variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
GUIDE = Path(__file__).parents[2] / "docs/guide/export.md"

REFUSED = {
    "age_gender": r"conv1_norm \(Square\)",  # local response normalization, here and below
    "alexnet": r"conv1_norm \(Square\)",
    "cifar_lrn": r"norm1 \(Square\)",
    "inception_v1": r"conv1_norm \(Square\)",
    "lenet5_1998": r"mul_1 \(Mul with computed numbers\)",  # trained subsampling
    "stn": r"einsum \(Einsum\)",  # the grid
}
SIZES = {"alexnet": 64, "inception_v3": 75, "squeezenet": 32, "stn": 28, "xray_cnn": 64}
SIZES |= dict.fromkeys(("densenet121", "vgg11", "vgg13", "vgg16", "vgg19"), 32)
FAST = ("mnist_perceptron", "lenet5_1998")
# Each model as it is, and some with batch norm.
CASES: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in MODELS]
CASES += [("cifar_vgg4", {"batch_norm": True}), ("vgg16", {"batch_norm": True})]
CASES += [("cifar_cnn", {"batch_norm": "after"})]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param(name, options, marks=[] if name in FAST else [pytest.mark.slow])
        for name, options in CASES
    ],
)
def test_networks_of_cnnlab(name: str, options: dict[str, Any]) -> None:
    size, channels = SIZES.get(name, 16), 1 if name.startswith(("mnist", "lenet", "stn")) else 3
    spec = DatasetSpec("small", (size, size, channels), ("a", "b", "c"), 10, 10)
    if "dense_units" in inspect.signature(MODELS[name]).parameters and name != "mnist_mlp":
        options = {"dense_units": 16, **options}
    made = program(name, spec, model_options=options)
    if name in REFUSED:
        with pytest.raises(CnnlabError, match=f"no twin of the layer {REFUSED[name]}; export"):
            build_keras_model(made)
        return
    images = np.random.default_rng(1).integers(0, 256, (3, *spec.image_shape)).astype(np.uint8)
    assert_same_logits(made, images, 1e-3)  # the deepest sum many layers' roundings


def test_the_guide_names_the_refused_networks() -> None:
    text = " ".join(GUIDE.read_text(encoding="utf-8").split())
    _, _, said = text.partition("All networks of cnnlab have a twin except ")
    assert {name for name in MODELS if f"`{name}`" in said.partition(". ")[0]} == set(REFUSED)
