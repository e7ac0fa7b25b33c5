"""The small networks: parameters, and names of variables."""

from typing import Any

import numpy as np
import pytest

from cnnlab.base.tf1 import tf
from cnnlab.config.resolve import resolve
from cnnlab.layers.tower import Tower, building
from cnnlab.models import MODELS

CIFAR, MNIST, CROP = (32, 32, 3), (28, 28, 1), (24, 24, 3)


def layer(name: str, *kernel: int) -> dict[str, list[int]]:
    """Return the variables of a layer with a bias."""
    return {f"{name}/kernel": list(kernel), f"{name}/bias": [kernel[-1]]}


def normalized(name: str, *kernel: int, scaled: bool = True) -> dict[str, list[int]]:
    """Return the variables of a convolution without bias and of its batch norm."""
    parts = ["gamma", "beta", "moving_mean", "moving_variance"][0 if scaled else 1 :]
    norm = {f"{name}_norm/{part}": [kernel[-1]] for part in parts}
    return {f"{name}/kernel": list(kernel), **norm}


def vgg(stages: int, inputs: int) -> dict[str, list[int]]:
    first = layer("conv1_1", 3, 3, 3, 64) | layer("conv1_2", 3, 3, 64, 64)
    second = layer("conv2_1", 3, 3, 64, 128) | layer("conv2_2", 3, 3, 128, 128)
    third = layer("conv3_1", 3, 3, 128, 256) | layer("conv3_2", 3, 3, 256, 256)
    third |= layer("conv3_3", 3, 3, 256, 256)
    found = {}
    for stage in (first, second, third)[:stages]:
        found |= stage
    found |= layer("dense1", inputs, 4096) | layer("dense2", 4096, 4096)
    return found | layer("logits", 4096, 10)


# Model to (shape of images, classes, trained parameters counted by hand, every variable). Users'
# checkpoints contain the names, so a change would break them.
GOLDEN: dict[str, tuple[tuple[int, int, int], int, int, dict[str, list[int]]]] = {
    # 5*5*3*64+64 + 5*5*64*64+64 + 6*6*64*384+384 + 384*192+192 + 192*10+10
    "cifar_lrn": (
        CROP,
        10,
        1_068_298,
        layer("conv1", 5, 5, 3, 64)
        | layer("conv2", 5, 5, 64, 64)
        | layer("dense1", 2304, 384)
        | layer("dense2", 384, 192)
        | layer("logits", 192, 10),
    ),
    # 156 + 5*5*6*16+16 + 48,120 + 10,164 + 84*10+10
    "lenet5": (
        MNIST,
        10,
        61_706,
        layer("c1", 5, 5, 1, 6)
        | layer("c3", 5, 5, 6, 16)
        | layer("c5", 5, 5, 16, 120)
        | layer("f6", 120, 84)
        | layer("logits", 84, 10),
    ),
    # The paper's counts: 156 + 12 + 1,516 + 32 + 48,120 + 10,164
    "lenet5_1998": (
        MNIST,
        10,
        60_000,
        layer("c1", 5, 5, 1, 6)
        | {"s2/coefficient": [6], "s2/bias": [6]}
        | {"c3/kernel": [5, 5, 60], "c3/bias": [16]}
        | {"s4/coefficient": [16], "s4/bias": [16]}
        | layer("c5", 5, 5, 16, 120)
        | layer("f6", 120, 84),
    ),
    # 640 + 73,856 + 12*12*128*1024+1024 + 10,250
    "mnist_simple": (
        MNIST,
        10,
        18_960_138,
        layer("conv1", 3, 3, 1, 64)
        | layer("conv2", 3, 3, 64, 128)
        | layer("dense1", 18432, 1024)
        | layer("logits", 1024, 10),
    ),
    # 1,792 + 73,856 + 73*73*128*1024+1024 + 2,050
    "cats_dogs": (
        (150, 150, 3),
        2,
        698_561_410,
        layer("conv1", 3, 3, 3, 64)
        | layer("conv2", 3, 3, 64, 128)
        | layer("dense1", 73 * 73 * 128, 1024)
        | layer("logits", 1024, 2),
    ),
    # 896 + 18,496 + 73,856 + 31*31*128*128+128 + 258
    "xray_cnn": (
        (1024, 1024, 3),
        2,
        15_838_658,
        layer("conv1", 3, 3, 3, 32)
        | layer("conv2", 3, 3, 32, 64)
        | layer("conv3", 3, 3, 64, 128)
        | layer("dense1", 31 * 31 * 128, 128)
        | layer("logits", 128, 2),
    ),
    # 14,208 + 614,656 + 885,120 + 9,634,304 + 262,656 + 5,130
    "age_gender": (
        (227, 227, 3),
        10,
        11_416_074,
        layer("conv1", 7, 7, 3, 96)
        | layer("conv2", 5, 5, 96, 256)
        | layer("conv3", 3, 3, 256, 384)
        | layer("dense1", 7 * 7 * 384, 512)
        | layer("dense2", 512, 512)
        | layer("logits", 512, 10),
    ),
    # 1,400 + 22,550 + 16*16*50*512+512 + 5,130
    "cifar_two_conv": (
        CIFAR,
        10,
        6_583_192,
        layer("conv1", 3, 3, 3, 50)
        | layer("conv2", 3, 3, 50, 50)
        | layer("dense1", 12800, 512)
        | layer("logits", 512, 10),
    ),
    # 38,720 + 16*16*64*4096+4096 + 16,781,312 + 40,970
    "cifar_vgg1": (CIFAR, 10, 83_973_962, vgg(1, 16 * 16 * 64)),
    # 38,720 + 221,440 + 8*8*128*4096+4096 + 16,781,312 + 40,970
    "cifar_vgg2": (CIFAR, 10, 50_640_970, vgg(2, 8 * 8 * 128)),
    # 38,720 + 221,440 + 1,475,328 + 2 * 16,781,312 + 40,970
    "cifar_vgg3": (CIFAR, 10, 35_339_082, vgg(3, 4 * 4 * 256)),
    "cifar_vgg4": (CIFAR, 10, 35_339_082, vgg(3, 4 * 4 * 256)),
    # 520 + 10,020 + 3,620 + 126, then 320 + 18,496 + 204,928 + 1,290
    "stn": (
        MNIST,
        10,
        239_320,
        layer("locate_conv1", 5, 5, 1, 20)
        | layer("locate_conv2", 5, 5, 20, 20)
        | layer("locate_dense", 180, 20)
        | layer("theta", 20, 6)
        | layer("conv1", 3, 3, 1, 32)
        | layer("conv2", 3, 3, 32, 64)
        | layer("dense1", 1600, 128)
        | layer("logits", 128, 10),
    ),
    # 24 + 9*(24*64 + 64*64 + 64*256 + 3*256*256) + 2*(64 + 256 + 256) + 2,560
    "airbench94": (
        CIFAR,
        10,
        1_971_352,
        {"whitening/kernel": [2, 2, 3, 24], "whitening/bias": [24]}
        | normalized("conv1_1", 3, 3, 24, 64, scaled=False)
        | normalized("conv1_2", 3, 3, 64, 64, scaled=False)
        | normalized("conv2_1", 3, 3, 64, 256, scaled=False)
        | normalized("conv2_2", 3, 3, 256, 256, scaled=False)
        | normalized("conv3_1", 3, 3, 256, 256, scaled=False)
        | normalized("conv3_2", 3, 3, 256, 256, scaled=False)
        | {"logits/kernel": [256, 10]},
    ),
    # 9*(32 + 32*32 + 32*64 + 64*64 + 64*128 + 128*128) + 4*(32 + 64 + 128) + 1152*10+10
    "mnist_best": (
        MNIST,
        10,
        298_410,
        normalized("conv1_1", 3, 3, 1, 32)
        | normalized("conv1_2", 3, 3, 32, 32)
        | normalized("conv2_1", 3, 3, 32, 64)
        | normalized("conv2_2", 3, 3, 64, 64)
        | normalized("conv3_1", 3, 3, 64, 128)
        | normalized("conv3_2", 3, 3, 128, 128)
        | layer("logits", 1152, 10),
    ),
}


def build(name: str, images: Any, classes: int, **options: Any) -> Tower:
    with building(Tower(1)) as tower:
        logits = MODELS[name](images, classes, training=False, **options)
    assert logits.shape.as_list() == [images.shape[0], classes]
    return tower


@pytest.mark.parametrize("name", GOLDEN)
def test_parameters_and_names(name: str) -> None:
    shape, classes, parameters, variables = GOLDEN[name]
    with tf.Graph().as_default():
        build(name, tf.zeros([2, *shape]), classes)
        found = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
        trained = [int(np.prod(v.shape)) for v in tf.trainable_variables()]
    assert found == variables
    assert sum(trained) == parameters


def test_the_spatial_transformer_can_be_left_out() -> None:
    with tf.Graph().as_default():
        build("stn", tf.zeros([2, *MNIST]), 10, **resolve({"config": "stn_without"}).model_options)
        sizes = {v.op.name: int(np.prod(v.shape)) for v in tf.trainable_variables()}
    assert sum(sizes.values()) == 225_034
    assert {name.split("/")[0] for name in sizes} == {"conv1", "conv2", "dense1", "logits"}


def test_parameters_of_the_recipe_cats_dogs() -> None:
    options = resolve({"config": "cats_dogs"}).model_options
    with tf.Graph().as_default():
        build("cats_dogs", tf.zeros([2, 150, 150, 3]), 2, **options)
        sizes = [int(np.prod(v.shape)) for v in tf.trainable_variables()]
    # 1,792 + 73,856 + 18*18*128*1024+1024 + 2,050
    assert sum(sizes) == 42_546_050
