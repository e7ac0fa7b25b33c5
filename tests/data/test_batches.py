"""Weights and labels on their way into the loss."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.utils.class_weight import compute_class_weight

from cnnlab import Train
from cnnlab.base.errors import DataError, UsageError
from cnnlab.config import options as opts
from cnnlab.config.config import Config
from cnnlab.config.yaml_text import dump_yaml, parse_yaml
from cnnlab.data.batches import class_weight_array
from tests import small_run

LABELS = np.array([0, 0, 0, 1, 1, 2], np.int32)
NAMES = ("a", "b", "c")


def test_class_weights() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(class_weight_array("balanced", LABELS, NAMES), expected, rtol=1e-6)
    np.testing.assert_array_equal(class_weight_array([1, 2, 3], LABELS, NAMES), [1, 2, 3])
    np.testing.assert_array_equal(class_weight_array({"b": 5}, LABELS, NAMES), [1, 5, 1])
    np.testing.assert_array_equal(class_weight_array({1: 5, "c": 2}, LABELS, NAMES), [1, 5, 2])
    np.testing.assert_array_equal(class_weight_array({1: 5}, LABELS, ("0", "1", "2")), [1, 5, 1])
    np.testing.assert_array_equal(class_weight_array({"1": 5}, LABELS, ("1", "2", "3")), [5, 1, 1])
    # Numbers are texts after JSON, as on their way to the workers of a search.
    np.testing.assert_array_equal(class_weight_array({"1": 5}, LABELS, NAMES), [1, 5, 1])
    found = class_weight_array("balanced", LABELS, (*NAMES, "none of it"))
    assert found[3] == 0


@pytest.mark.parametrize(
    ("weights", "names", "message"),
    [
        ({"d": 5}, NAMES, "no class d; the classes are a, b, c"),
        ({3: 5}, NAMES, "no class 3; the classes are a, b, c"),
        ({-1: 5}, NAMES, "no class -1"),
        ({1: 5, "b": 2}, NAMES, "the class 1 has two factors"),
        ({1: 5}, ("1", "2", "3"), "1 is the number of one class and the name of another; put a n"),
    ],
)
def test_class_weights_that_do_not_fit(weights: Any, names: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"^--class_weights: {message}"):
        class_weight_array(weights, LABELS, names)


@pytest.mark.parametrize("text", ["{0: 2, 3: 0.5}", "{0: 2.0, 'cat': 0.5}"])
def test_class_weights_as_a_flag(text: str) -> None:
    given = {"class_weights": opts.parse_text("class_weights", text, Config), "dataset": "cifar10"}
    config = Train(**given).config
    assert config.class_weights == yaml.safe_load(text)
    assert parse_yaml(dump_yaml(opts.as_dict(config)), "x")["class_weights"] == yaml.safe_load(text)


PLAIN: dict[str, Any] = {
    "optimizer": "sgd",
    "schedule": "constant",
    "model": "mnist_perceptron",
    "model_options": {"init_stddev": 0.0},
    "learning_rate": 0.5,
    "batch_size": small_run.NUM_TRAIN,
    "steps": 1,
}


def one_step(folder: Path, data: Any = None, **options: Any) -> np.ndarray:
    """The bias after one step over all images, from zeros."""
    return small_run.run(folder, data=data, **PLAIN, **options)["logits/bias"]


def expected_bias(weights: Any) -> np.ndarray:
    """-0.5 x mean of weight x (softmax - one-hot), softmax being 1/4."""
    labels = small_run.arrays()[0][1]
    return -0.5 * (np.asarray(weights)[:, None] * (0.25 - np.eye(4)[labels])).mean(axis=0)


@pytest.mark.slow
def test_weights_enter_the_gradient(tmp_path: Path) -> None:
    (images, labels), test = small_run.arrays()
    weights = np.linspace(0, 2, len(labels))
    found = one_step(tmp_path / "a", data=((images, labels, weights), test))
    np.testing.assert_allclose(found, expected_bias(weights), atol=1e-6)
    factors = np.array([1.0, 2, 0, 4])
    found = one_step(tmp_path / "b", class_weights=list(factors))
    np.testing.assert_allclose(found, expected_bias(factors[labels]), atol=1e-6)
    both = one_step(tmp_path / "c", ((images, labels, weights), test), class_weights={"3": 7})
    np.testing.assert_allclose(
        both, expected_bias(weights * np.where(labels == 3, 7, 1)), atol=1e-6
    )
    none = one_step(tmp_path / "d")
    np.testing.assert_allclose(none, expected_bias(np.ones(len(labels))), atol=1e-6)


def test_weights_follow_a_validation_split(tmp_path: Path) -> None:
    (images, labels), test = small_run.arrays()
    weights = np.arange(len(labels))
    with small_run.make(
        tmp_path, data=((images, labels, weights), test), validation_split=0.2
    ) as train:
        split = train.data.split("train")
    for image, weight in zip(split.images, split.weights, strict=True):
        np.testing.assert_array_equal(image, images[int(weight)])


@pytest.mark.parametrize(
    "weights", [[1.0], [-1.0] * small_run.NUM_TRAIN, [np.nan] * small_run.NUM_TRAIN]
)
def test_weights_that_do_not_fit(weights: Any) -> None:
    (images, labels), test = small_run.arrays()
    with pytest.raises(DataError, match=r"train weights are .* of shape .* finite numbers >= 0"):
        small_run.make(Path("x"), data=((images, labels, weights), test))


@pytest.mark.slow
def test_fed_images_train_with_class_weights_and_mixing(tmp_path: Path) -> None:
    """Of any number, the stream moving on all the same."""
    options = {"class_weights": "balanced", "augment": ["alternating_flip", "cutmix"]}
    (images, labels), test = small_run.arrays()
    data = ((images, labels, np.ones(len(labels))), test)
    with small_run.make(tmp_path, data=data, **options) as train:
        feed = {train.images_ph: images[:13], train.labels_ph: labels[:13]}
        train.session.run(train.train_op, feed)
        train.session.run(train.train_op)
        assert train.step == 2
