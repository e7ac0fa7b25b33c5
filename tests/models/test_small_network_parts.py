"""The special parts of the small networks."""

import numpy as np
import pytest

from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import Tower, building
from cnnlab.models import MODELS, check_model_options
from cnnlab.models.airbench import whitening_filters
from cnnlab.models.lenet import C3_INPUTS, DIGITS, centres
from cnnlab.models.spatial_transformer import transform
from tests.models.test_small_networks import CIFAR, CROP, GOLDEN, MNIST, build, layer, normalized


def test_batch_norm_replaces_the_biases() -> None:
    with tf.Graph().as_default():
        build("cifar_vgg1", tf.zeros([2, *CIFAR]), 10, batch_norm=True, dense_units=8)
        found = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    expected = normalized("conv1_1", 3, 3, 3, 64) | normalized("conv1_2", 3, 3, 64, 64)
    expected |= normalized("dense1", 16384, 8) | normalized("dense2", 8, 8)
    expected |= layer("logits", 8, 10)
    assert found == expected


@pytest.mark.slow
def test_the_head_of_the_muon_variant_starts_as_that_of_the_other() -> None:
    """A standard deviation of 1 over 256 is near that of uniform +-1/16 over 9."""
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
    with pytest.raises(UsageError, match=r"dropout=1\.0 is not valid: .*less than 1"):
        check_model_options(MODELS["cifar_vgg4"], {"dropout": 1.0})


def test_cifar_lrn_starts_and_is_penalized_as_in_its_source() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        tower = build("cifar_lrn", tf.zeros([2, *CROP]), 10)
        session.run(tf.global_variables_initializer())
        found = session.run({v.op.name: v for v in tf.global_variables()})
        penalties = session.run(tower.penalties)
    starts = {"conv1": (0.05, 0), "conv2": (0.05, 0.1), "dense1": (0.04, 0.1)}
    starts |= {"dense2": (0.04, 0.1), "logits": (1 / 192, 0)}
    for name, (stddev, bias) in starts.items():
        kernel = found[f"{name}/kernel"]
        assert np.abs(kernel).max() <= 2 * stddev + 1e-6  # truncated at two standard deviations
        assert kernel.std() == pytest.approx(0.8796 * stddev, rel=0.05)
        assert (found[f"{name}/bias"] == np.float32(bias)).all()
    halves = [0.5 * (found[f"dense{i}/kernel"].astype(np.float64) ** 2).sum() for i in (1, 2)]
    np.testing.assert_allclose(penalties, 0.004 * np.array(halves), rtol=1e-4)
    with tf.Graph().as_default():
        tower = build("cifar_lrn", tf.zeros([2, *CROP]), 10, lrn=False, l2=0.0)
    assert not tower.penalties
    assert not any("norm" in name for name in tower.activations)


def test_lenet5_with_sigmoids() -> None:
    """A sigmoid follows S2 and is in F6; the number of parameters is the same."""
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.random.stateless_normal([2, 32, 32, 1], [1, 2])
        tower = build("lenet5", images, 10, sigmoid=True)
        session.run(tf.global_variables_initializer())
        found = session.run(tower.activations)
        weights = session.run({v.op.name: v for v in tf.trainable_variables()})
    assert sum(value.size for value in weights.values()) == 61_706

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    np.testing.assert_allclose(found["s2_sigmoid"], sigmoid(found["s2"]), rtol=1e-5)
    f6 = sigmoid(found["flatten"] @ weights["f6/kernel"] + weights["f6/bias"])
    np.testing.assert_allclose(found["f6"], f6, rtol=1e-4)
    assert found["c5"].min() < 0  # still tanh


def test_channels_first_has_the_same_variables() -> None:
    """The network is built for a GPU, which need not exist."""
    with tf.Graph().as_default(), tf.device("/gpu:0"):
        build("cifar_two_conv", tf.zeros([2, *CIFAR]), 10, data_format="channels_first")
        found = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    assert found == GOLDEN["cifar_two_conv"][3]


def test_the_connections_of_c3() -> None:
    """Table I of the paper: each map of S2 has ten connections; the last map of C3 has six."""
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
    """The centres of similar digits may be near each other, but all are different."""
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
    """An image of 28x28 and the same image padded by hand to 32x32 give the same logits."""
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
    """The second moments of their outputs are those of uncorrelated values: d / (d + 5e-4)."""
    images = np.random.default_rng(0).normal(size=(20, 9, 8, 3)).astype(np.float32)
    images += np.roll(images, 1, axis=1) + 2 * images[..., :1]  # correlated
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
