"""A model that has a parameter `labels` gets those of the batch in training, None in inference."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Train, dataset_from_arrays, layers
from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import tf
from tests import small_run


def with_labels(
    images: Any, num_classes: int, *, training: bool, labels: Any, seen: Any = None
) -> Any:
    """Build a network that learns nothing: in training, its logits are the labels."""
    if seen is not None:
        seen.append(labels)
    logits = layers.dense(layers.flatten(images), num_classes, name="logits")
    if not training:
        return logits
    is_class = labels.dtype == tf.int64
    return 0 * logits + (tf.one_hot(labels, num_classes) if is_class else labels)


def make(folder: Path, seen: list[Any], data: Any = None, **options: Any) -> Train:
    return small_run.make(folder, partial(with_labels, seen=seen), data, steps=3, **options)


@pytest.mark.parametrize("options", [{}, {"micro_batches": 3}, {"xla": True, "augment": []}])
@pytest.mark.slow
def test_a_model_gets_the_labels_of_its_batch(options: dict[str, Any], tmp_path: Path) -> None:
    seen: list[Any] = []
    with make(tmp_path / "run", seen, **options) as train:
        assert train.train()["finished"]
        graph = train.train_graph
        accuracy = train.session.run(graph.train_accuracy)
    assert seen[0] is None
    assert seen[-1].dtype == tf.int64
    assert seen[-1].shape.rank == 1
    assert accuracy == 1


@pytest.mark.slow
def test_mixed_labels_and_labels_that_are_no_classes_are_floats(tmp_path: Path) -> None:
    for name in ("mixed", "several"):
        seen: list[Any] = []
        data, options = None, {"augment": ["mixup"]}
        if name == "several":
            images = small_run.arrays()[0][0]
            labels = np.arange(60).reshape(20, 3) % 2
            data, options = dataset_from_arrays((images, labels), (images, labels)), {}
            options = {"loss": "sigmoid", "augment": []}
        with make(tmp_path / name, seen, data, **options) as train:
            train.train()
        assert seen[0] is None
        assert seen[-1].dtype == tf.float32
        assert seen[-1].shape.as_list()[1] == (3 if data else 4)


def test_labels_are_no_option_of_the_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes no labels"):
        small_run.make(tmp_path, with_labels, model_options={"labels": 1})
