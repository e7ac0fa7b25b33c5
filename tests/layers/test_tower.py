"""Towers: stable names, random keys, seeds of variables."""

from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.base.errors import CnnlabError
from cnnlab.base.randomness import derive_seed
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import Tower, building, current


def test_each_tower_counts_its_names_by_itself() -> None:
    for _ in range(2):
        tower = Tower(1)
        names = [tower.unique_name(name) for name in ("conv", "conv", "dense", "conv")]
        assert names == ["conv", "conv_1", "dense", "conv_2"]


def test_seeds_are_stable_and_unrelated() -> None:
    assert derive_seed(1, "a") == derive_seed(1, "a")
    seeds = {derive_seed(seed, purpose) for seed in range(50) for purpose in ("a", "b", "ab")}
    assert len(seeds) == 150
    assert all(0 <= seed < 2**31 for seed in seeds)
    # This value must not change from release to release, or every resumed run would change.
    assert derive_seed(1, "order of images") == 541_801_112


def keys(seed: int, step: int, *purposes: str) -> list[list[int]]:
    """Return the random keys of some purposes in a step."""
    with tf.Graph().as_default(), tf.Session() as session:
        tower = Tower(seed, tf.constant(step, tf.int64))
        return [key.tolist() for key in session.run([tower.random_key(p) for p in purposes])]


def test_a_random_key_depends_on_seed_step_and_purpose() -> None:
    first = keys(1, 7, "flip", "crop", "flip")
    assert len({tuple(key) for key in first}) == 3  # a second use gets another key
    assert keys(1, 7, "flip", "crop", "flip") == first
    assert all(key[1] == 7 for key in first)
    assert keys(2, 7, "flip") != first[:1]
    assert keys(1, 8, "flip")[0] == [first[0][0], 8]


def test_inference_draws_no_random_numbers() -> None:
    with pytest.raises(CnnlabError, match="flip draws random numbers, which inference does not"):
        Tower(1).random_key("flip")


def test_layers_need_a_tower() -> None:
    with pytest.raises(CnnlabError, match="inside a model function of Train"):
        current()
    with tf.Graph().as_default(), pytest.raises(CnnlabError, match="inside a model function"):
        layers.dense(tf.zeros([1, 2]), 3)
    with tf.Graph().as_default():
        with building(Tower(1)) as tower:
            assert current() is tower
        with pytest.raises(CnnlabError):
            current()


def built(seed: int, *names: str, **kwargs: Any) -> dict[str, Any]:
    """Return the variables of dense layers of these names, before training."""
    with tf.Graph().as_default(), tf.Session() as session:
        with building(Tower(seed)):
            for name in names:
                layers.dense(tf.zeros([1, 4]), 5, name=name, **kwargs)
        session.run(tf.global_variables_initializer())
        return session.run({v.op.name: v for v in tf.global_variables()})


def test_a_variables_start_depends_only_on_seed_and_name() -> None:
    start = built(1, "a", "b")
    assert not np.array_equal(start["a/kernel"], start["b/kernel"])
    assert np.array_equal(built(1, "b")["b/kernel"], start["b/kernel"])
    assert not np.array_equal(built(2, "b")["b/kernel"], start["b/kernel"])
    # Glorot uniform: within sqrt(6 / (4 + 5)).
    assert np.abs(start["a/kernel"]).max() <= np.sqrt(6 / 9)
    assert not start["a/bias"].any()


def test_a_seed_that_the_user_gave_stays() -> None:
    given = {"kernel_initializer": tf.random_normal_initializer(seed=5)}
    assert np.array_equal(built(1, "a", **given)["a/kernel"], built(2, "b", **given)["b/kernel"])
    ones = built(1, "a", kernel_initializer=tf.ones_initializer())
    assert (ones["a/kernel"] == 1).all()


def test_two_towers_share_their_variables_and_record_their_own() -> None:
    with tf.Graph().as_default():
        towers = []
        for _ in range(2):
            with building(Tower(1)) as tower:
                x = layers.dense(tf.zeros([1, 4]), 5, name="a", kernel_regularizer=tf.nn.l2_loss)
                layers.dense(x, 5)
            towers.append(tower)
        assert [v.op.name for v in tf.global_variables()] == [
            *("a/kernel", "a/bias", "dense/kernel", "dense/bias")
        ]
        assert [list(tower.activations) for tower in towers] == [["a", "dense"]] * 2
        assert [len(tower.penalties) for tower in towers] == [1, 1]
        assert towers[0].penalties[0] is not towers[1].penalties[0]


def test_no_two_layers_share_a_name() -> None:
    with tf.Graph().as_default():
        images = tf.zeros([2, 8, 8, 1])
        with building(Tower(1)) as tower:
            layers.conv2d(images, 3, 3)
            layers.conv2d(images, 4, 3)
            layers.conv2d(images, 5, 3, name="conv2d_1")
            layers.conv2d(images, 6, 3, name="own_1")
            layers.conv2d(images, 7, 3, name="own")
            layers.conv2d(images, 8, 3, name="own")
        names = ["conv2d", "conv2d_1", "conv2d_1_1", "own_1", "own", "own_2"]
        assert list(tower.activations) == names
        assert len(tf.trainable_variables()) == 12
