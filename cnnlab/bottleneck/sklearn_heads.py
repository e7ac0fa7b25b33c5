"""Heads that scikit-learn trains: a linear support vector machine, and a random forest."""

from __future__ import annotations

import importlib.util
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError, DataError
from cnnlab.bottleneck.features import Features
from cnnlab.data.batches import class_weight_array
from cnnlab.data.datasets import Split
from cnnlab.data.specs import DatasetSpec

_MAX_ITERATIONS = 10_000
_LEAST = 1e-7  # probability


class Linear(NamedTuple):
    """A trained linear head.

    weights: float32 [features, num_classes].
    bias: float32 [num_classes].
    """

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def outputs(self, features: Features) -> npt.NDArray[np.float32]:
        """Return the decision values, float32 [n, num_classes]."""
        return features @ self.weights + self.bias


def check_installed(head: str) -> None:
    """Raise CnnlabError if scikit-learn is not installed."""
    if importlib.util.find_spec("sklearn") is None:
        raise CnnlabError(f"--head={head} needs scikit-learn: pip install 'cnnlab[sklearn]'")


def check_classes(train: Split, spec: DatasetSpec) -> None:
    """Raise DataError if a class has no training image."""
    if spec.targets != "classes":
        return
    num_classes = spec.num_classes
    counts = np.bincount(train.labels, minlength=num_classes)
    if num_classes < 2 or (counts == 0).any():
        raise DataError(
            f"the training set has images of {int((counts > 0).sum())} of {num_classes} classes; "
            "a head needs at least 2, and images of each"
        )


def example_weights(
    class_weights: Any, train: Split, class_names: tuple[str, ...]
) -> npt.NDArray[np.float32] | None:
    """Return the factor on the loss of each training image, float32 [n]; None: 1 for each.

    Args:
        class_weights: the option.
        train: labels int [n], and perhaps a weight for each image.
        class_names: one name per class.

    Raises:
        UsageError: the class weights do not fit the classes.
    """
    if class_weights is None:
        return train.weights
    of_class = class_weight_array(class_weights, train.labels, class_names)[train.labels]
    return of_class if train.weights is None else of_class * train.weights


def train_svm(
    features: Features,
    labels: npt.NDArray[Any],
    num_classes: int,
    *,
    c: float,
    seed: int,
    weights: npt.NDArray[np.float32] | None = None,
) -> Linear:
    """Train a linear support vector machine, one class against the others.

    The features are standardized first. The result contains this step, so it takes the features
    themselves: w . (x - mean) / stddev + b = (w / stddev) . x + (b - w . mean / stddev). For two
    classes scikit-learn gives one decision value d; the outputs are then -d and d.

    Args:
        features: float32 [n, features].
        labels: int [n], range [0, num_classes).
        num_classes: number of classes.
        c: weight of the errors against the size of the weights.
        seed: of the order in which LinearSVC visits the examples.
        weights: factor on the loss of each example, float32 [n]; None: 1 for each.
    """
    from sklearn.svm import LinearSVC

    mean, stddev = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    stddev[stddev < 1e-7] = 1
    machine = LinearSVC(C=c, random_state=seed, max_iter=_MAX_ITERATIONS)
    machine.fit((features - mean) / stddev, labels, weights)
    kernel, bias = machine.coef_ / stddev, machine.intercept_
    if num_classes == 2:
        kernel, bias = np.concatenate([-kernel, kernel]), np.concatenate([-bias, bias])
    bias = bias - kernel @ mean
    return Linear(kernel.T.astype(np.float32), bias.astype(np.float32))


def forest_outputs(
    features: Features,
    labels: npt.NDArray[Any],
    asked: Features,
    *,
    trees: int,
    seed: int,
    weights: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Train a random forest; return the logarithms of its probabilities.

    Args:
        features: float32 [m, features].
        labels: int [m]; every class has an example.
        asked: float32 [n, features].
        trees: number of trees.
        seed: of the samples and features that each tree sees.
        weights: as for `train_svm`.

    Returns:
        float32 [n, num_classes]; a probability of 0 counts as 1e-7.
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(trees, random_state=seed, n_jobs=-1)
    forest.fit(features, labels, weights)
    return np.log(np.maximum(forest.predict_proba(asked), _LEAST)).astype(np.float32)
