"""The larger networks: parameters, names of variables, smallest images, both data formats."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import Tower, building
from cnnlab.models import MODELS

# The counts are for 1000 classes and include the moving averages. Those of VGG, ResNet-50 and 101,
# Inception-V3, DenseNet, MobileNet and EfficientNet are count_params() of Keras Applications. The
# others are torchvision's parameters, with 4c instead of 2c for batch norm. ResNet-20 and 56 have
# 10 classes.
PARAMETERS = {
    "alexnet": 62_378_344,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "resnet18": 11_689_512 + 9_600,
    "resnet34": 21_797_672 + 17_024,
    "resnet50": 25_636_712,
    "resnet101": 44_707_176,
    "inception_v1": 6_998_552,
    "inception_v3": 23_851_784,
    "squeezenet": 1_248_424,
    "densenet121": 8_062_504,
    "mobilenet_v2": 3_538_984,
    "efficientnet_b0": 5_330_571 - 7,  # without the statistics of Keras's layer for pixels
    "resnet20": 269_722 + 2 * (7 * 16 + 6 * 32 + 6 * 64),
    "resnet56": 853_018 + 2 * (19 * 16 + 18 * 32 + 18 * 64),
}
QUICK = ("alexnet", "vgg11", "vgg16", "squeezenet", "resnet20")
NAMES = [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in PARAMETERS]
FOR_CIFAR = {"resnet20", "resnet56"}
HAS_STEMS = set(PARAMETERS) - FOR_CIFAR - {"vgg11", "vgg13", "vgg16", "vgg19"}
GOLDEN = Path(__file__).parent / "variables"


def random_images(size: int) -> Any:
    """Return float32 [2, size, size, 3]; the second image is darker, so that the logits differ."""
    images = np.random.default_rng(1).uniform(size=(2, size, size, 3)).astype(np.float32)
    images[1] *= 0.3
    return images


def build(name: str, size: int, classes: int, *, training: bool = False, **options: Any) -> Any:
    """Return the logits of random images of a size, and the tower."""
    images = random_images(size)
    step = tf.constant(0, tf.int64) if training else None
    with building(Tower(1, step)) as tower:
        return MODELS[name](tf.constant(images), classes, training=training, **options), tower


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_names(name: str) -> None:
    """Users' checkpoints contain the names, so a change would break them."""
    size, classes = (32, 10) if name in FOR_CIFAR else (224, 1000)
    with tf.Graph().as_default():
        logits, tower = build(name, size, classes)
        assert logits.shape.as_list() == [2, classes]
        found = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    assert sum(int(np.prod(shape)) for shape in found.values()) == PARAMETERS[name]
    lines = [f"{variable} {'x'.join(map(str, shape))}" for variable, shape in found.items()]
    assert lines == (GOLDEN / f"{name}.txt").read_text().splitlines()
    assert next(iter(tower.activations)).startswith(("conv1", "block1/conv1"))


@pytest.mark.parametrize("name", NAMES)
def test_small_images(name: str) -> None:
    """With the cifar stem, images of 32x32 are still at least 2x2 in the last layers."""
    options = {"stem": "cifar"} if name in HAS_STEMS else {}
    with tf.Graph().as_default():
        logits, tower = build(name, 32, 10, **options)
        assert logits.shape.as_list() == [2, 10]
        last = [x.shape.as_list() for x in tower.activations.values() if x.shape.rank == 4][-1]
    if name in HAS_STEMS:
        assert min(last[1:3]) >= 2


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("alexnet", 63, {}),
        ("alexnet", 15, {"stem": "cifar"}),
        ("vgg11", 32, {}),
        ("squeezenet", 29, {}),
        ("squeezenet", 7, {"stem": "cifar"}),
        pytest.param("densenet121", 29, {}, marks=pytest.mark.slow),
        pytest.param("densenet121", 8, {"stem": "cifar"}, marks=pytest.mark.slow),
        pytest.param("inception_v3", 75, {}, marks=pytest.mark.slow),
        pytest.param("inception_v3", 15, {"stem": "cifar"}, marks=pytest.mark.slow),
    ],
)
def test_the_smallest_images(name: str, size: int, options: dict[str, Any]) -> None:
    with tf.Graph().as_default():
        assert build(name, size, 10, **options)[0].shape.as_list() == [2, 10]
    less = size - 1
    message = f"images of {less}x{less} are too small for the model, .* at least {size}x{size}"
    with tf.Graph().as_default(), pytest.raises(CnnlabError, match=message):
        build(name, less, 10, **options)


@pytest.mark.parametrize("training", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name",
    [
        "squeezenet",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("alexnet", "vgg13", "resnet20", "resnet18", "resnet50")
        ),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("inception_v1", "inception_v3", "densenet121", "mobilenet_v2")
        ),
    ],
)
@pytest.mark.slow
def test_channels_first_gives_the_same_logits(name: str, training: bool) -> None:
    """Both start from the same weights. Dropout is on, with the same masks, if not on images."""
    options: dict[str, Any] = {"stem": "cifar"} if name in HAS_STEMS else {}
    if name in ("alexnet", "vgg13"):
        options["dense_units"] = 32
    if name == "squeezenet":
        options["dropout"] = 0.0
    found = []
    for data_format in ("channels_last", "channels_first"):
        with tf.Graph().as_default(), tf.Session() as session:
            logits, tower = build(
                name, 32, 10, training=training, data_format=data_format, **options
            )
            session.run(tf.global_variables_initializer())
            shapes = [v.shape.as_list() for v in tf.global_variables()]
            first = next(iter(tower.activations.values())).shape.as_list()
            found.append((session.run(logits), shapes, first))
    (last, shapes, at_last), (first, other_shapes, at_first) = found
    assert shapes == other_shapes
    assert at_last[1:] == [*at_first[2:], at_first[1]]
    # With channels first, oneDNN's batch norm adds the squares of a channel one after the other, so
    # that variances are wrong by up to 2e-5. The 52 batch norms of mobilenet_v2, the last ones over
    # 8 values, make 30 times as much of it. Compared with float64, its logits are wrong by 2.2e-4
    # of the largest with channels first, and by 3e-5 with channels last.
    most = 5e-4 if training and name == "mobilenet_v2" else 1e-4
    np.testing.assert_allclose(first, last, rtol=1e-3, atol=most * np.abs(last).max())
