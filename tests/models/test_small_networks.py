"""The small networks of the texts: parameters and names, and losses against independent twins."""

from typing import Any

import numpy as np
import pytest

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.models import MODELS, check_model_options
from cnnlab.models.airbench import whitening_filters
from cnnlab.models.lenet import C3_INPUTS, DIGITS, centres
from cnnlab.models.spatial_transformer import transform
from cnnlab.tf1 import tf
from cnnlab.tower import Tower, building

CIFAR, MNIST, CROP = (32, 32, 3), (28, 28, 1), (24, 24, 3)


def layer(name: str, *kernel: int) -> dict[str, list[int]]:
    """The variables of a layer with a bias."""
    return {f"{name}/kernel": list(kernel), f"{name}/bias": [kernel[-1]]}


def normalized(name: str, *kernel: int, scaled: bool = True) -> dict[str, list[int]]:
    """The variables of a convolution without bias and of its batch normalization."""
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


# Model to (images, classes, trained parameters by hand, every variable). The names stand in users'
# checkpoints: a change breaks those.
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


def test_batch_norm_takes_the_place_of_the_biases() -> None:
    with tf.Graph().as_default():
        build("cifar_vgg1", tf.zeros([2, *CIFAR]), 10, batch_norm=True, dense_units=8)
        found = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    expected = normalized("conv1_1", 3, 3, 3, 64) | normalized("conv1_2", 3, 3, 64, 64)
    expected |= normalized("dense1", 16384, 8) | normalized("dense2", 8, 8)
    expected |= layer("logits", 8, 10)
    assert found == expected


def test_the_head_of_the_muon_variant_starts_as_that_of_the_other() -> None:
    """Standard deviation 1 over 256 is near that of uniform +-1/16 over 9."""
    for unit_head, stddev, factor in ((False, 1 / 16 / 3**0.5, 1 / 9), (True, 1, 1 / 256)):
        with tf.Graph().as_default(), tf.Session() as session:
            with building(Tower(1)) as tower:
                images = tf.zeros([1, *CIFAR])
                logits = MODELS["airbench94"](images, 10, training=False, unit_head=unit_head)
            session.run(tf.global_variables_initializer())
            kernel = next(v for v in tf.trainable_variables() if v.op.name == "logits/kernel")
            assert session.run(tf.math.reduce_std(kernel)) == pytest.approx(stddev, rel=0.03)
            found = session.run(logits, {tower.activations["logits"]: np.ones([1, 10])})
        np.testing.assert_allclose(found, factor, rtol=1e-6)


def test_step_4_of_vgg_differs_from_step_3_by_its_dropout() -> None:
    kept = {}
    for name in ("cifar_vgg3", "cifar_vgg4"):
        with tf.Graph().as_default(), building(Tower(1, tf.constant(0, tf.int64))) as tower:
            MODELS[name](tf.zeros([2, *CIFAR]), 10, training=True, dense_units=8)
            kept[name] = [a for a in tower.activations if a.endswith("dropout")]
    assert kept == {"cifar_vgg3": [], "cifar_vgg4": ["dense1_dropout", "dense2_dropout"]}
    with pytest.raises(UsageError, match=r"dropout=1\.0 is not valid: less than 1"):
        check_model_options(MODELS["cifar_vgg4"], {"dropout": 1.0})


def test_cifar_lrn_starts_and_is_penalized_as_the_text_has_it() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        tower = build("cifar_lrn", tf.zeros([2, *CROP]), 10)
        session.run(tf.global_variables_initializer())
        found = session.run({v.op.name: v for v in tf.global_variables()})
        penalties = session.run(tower.penalties)
    starts = {"conv1": (0.05, 0), "conv2": (0.05, 0.1), "dense1": (0.04, 0.1)}
    starts |= {"dense2": (0.04, 0.1), "logits": (1 / 192, 0)}
    for name, (stddev, bias) in starts.items():
        kernel = found[f"{name}/kernel"]
        assert np.abs(kernel).max() <= 2 * stddev + 1e-6  # truncated
        assert kernel.std() == pytest.approx(0.8796 * stddev, rel=0.05)
        assert (found[f"{name}/bias"] == np.float32(bias)).all()
    halves = [0.5 * (found[f"dense{i}/kernel"].astype(np.float64) ** 2).sum() for i in (1, 2)]
    np.testing.assert_allclose(penalties, 0.004 * np.array(halves), rtol=1e-4)
    with tf.Graph().as_default():
        tower = build("cifar_lrn", tf.zeros([2, *CROP]), 10, lrn=False, l2=0.0)
    assert not tower.penalties
    assert not any("norm" in name for name in tower.activations)


def test_channels_first_without_a_gpu_is_refused() -> None:
    options = {"data_format": "channels_first"}
    with (
        tf.Graph().as_default(),
        tf.device("/cpu:0"),
        pytest.raises(CnnlabError, match="channels_first needs a GPU; on the CPU take data_form"),
    ):
        build("cifar_two_conv", tf.zeros([2, *CIFAR]), 10, **options)


def test_channels_first_has_the_same_variables() -> None:
    """Built for a GPU, whether there is one or not."""
    with tf.Graph().as_default(), tf.device("/gpu:0"):
        build("cifar_two_conv", tf.zeros([2, *CIFAR]), 10, data_format="channels_first")
        found = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    assert found == GOLDEN["cifar_two_conv"][3]


def test_the_connections_of_c3() -> None:
    """Table I of the paper: each map of S2 goes to ten, of which the last sees all."""
    assert [len(inputs) for inputs in C3_INPUTS] == [3] * 6 + [4] * 9 + [6]
    uses = np.bincount([source for inputs in C3_INPUTS for source in inputs])
    assert uses.tolist() == [10] * 6
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.random.stateless_normal([2, 32, 32, 1], [1, 2])
        tower = build("lenet5_1998", images, 10)
        session.run(tf.global_variables_initializer())
        s2, c3 = tower.activations["s2_squash"], tower.activations["c3_squash"]
        slopes = session.run([tf.gradients(c3[..., target], s2)[0] for target in range(16)])
    for slope, inputs in zip(slopes, C3_INPUTS, strict=True):
        assert np.flatnonzero(np.abs(slope).sum(axis=(0, 1, 2))).tolist() == list(inputs)


def test_the_centres_of_the_outputs() -> None:
    """Digits that look alike may be near, but none is another."""
    found = centres(10)
    assert found.shape == (10, 84)
    assert set(np.unique(found)) == {-1.0, 1.0}
    rows = ["".join("#" if on > 0 else "." for on in row) for row in found[1].reshape(12, 7)]
    assert rows[1:4] == ["...#...", "..##...", ".#.#..."]
    assert all(len(rows) == 12 and rows[0] == rows[-1] == 0 for rows in DIGITS)
    differences = (found[:, None] != found[None]).sum(axis=2) + 84 * np.eye(10)
    assert differences.min() >= 4
    assert centres(26).shape == (26, 84)


def test_smaller_images_are_padded_with_their_edges() -> None:
    """MNIST of 28x28 and the same padded by hand to 32x32 give the same logits."""
    image = np.random.default_rng(0).normal(size=(1, *MNIST)).astype(np.float32)
    found = []
    for images in (image, np.pad(image, ((0, 0), (2, 2), (2, 2), (0, 0)), "symmetric")):
        with tf.Graph().as_default(), tf.Session() as session:
            with building(Tower(1)):
                logits = MODELS["lenet5"](tf.constant(images), 10, training=False)
            session.run(tf.global_variables_initializer())
            found.append(session.run(logits))
    np.testing.assert_array_equal(*found)


def test_whitening_filters_whiten() -> None:
    """Second moments of their outputs are those of uncorrelated values: d / (d + 5e-4)."""
    images = np.random.default_rng(0).normal(size=(20, 9, 8, 3)).astype(np.float32)
    images += np.roll(images, 1, axis=1) + 2 * images[..., :1]  # correlated, to have work to do
    filters = whitening_filters(images)
    assert filters.shape == (2, 2, 3, 24)
    np.testing.assert_array_equal(filters[..., 12:], -filters[..., :12])
    with tf.Graph().as_default(), tf.Session() as session:
        outputs = session.run(tf.nn.conv2d(tf.constant(images), tf.constant(filters), 1, "VALID"))
    flat = outputs[..., :12].reshape(-1, 12).astype(np.float64)
    np.testing.assert_allclose(flat.T @ flat / len(flat), np.eye(12), atol=2e-3)


def test_a_spatial_transformer_starts_as_the_identity_and_can_mirror() -> None:
    images = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype(np.float32)
    cases = {
        "same": [[1, 0, 0], [0, 1, 0]],
        "mirrored": [[-1, 0, 0], [0, 1, 0]],
        "right": [[1, 0, -1 / 3], [0, 1, 0]],  # a pixel is 2 / (7 - 1)
    }
    with tf.Graph().as_default(), tf.Session() as session:
        found = {
            name: session.run(transform(tf.constant(images), tf.constant([matrix] * 2, tf.float32)))
            for name, matrix in cases.items()
        }
    shifted = np.zeros_like(images)
    shifted[:, :, 1:] = images[:, :, :-1]
    for name, expected in (
        ("same", images),
        ("mirrored", images[:, :, ::-1]),
        ("right", shifted),
    ):
        np.testing.assert_allclose(found[name], expected, atol=1e-5, err_msg=name)
