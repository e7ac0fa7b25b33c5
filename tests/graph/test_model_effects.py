"""What a model does besides logits: updates of variables, summaries, random numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf
from tests import small_run


def state(name: str) -> Any:
    return tf.get_variable(name, [], initializer=tf.zeros_initializer(), trainable=False)


def updating(images: Any, num_classes: int, *, training: bool) -> Any:
    """Count in every way in which TensorFlow 1's programs update a variable."""
    x = layers.max_pooling2d(layers.conv2d(images, 4, 3), 2, 2)
    mean, by_assign, by_add, by_method = map(state, ("mean", "assign", "add", "method"))
    if training:
        updates = [
            tf.assign(mean, 0.5 * mean + 0.5 * tf.reduce_mean(images)),  # a tensor
            tf.assign(by_assign, by_assign + 1),
            tf.assign_add(by_add, 1.0),
            by_method.assign_add(1.0, read_value=False),  # an operation
        ]
        for update in updates:
            tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
    return layers.dense(layers.flatten(x), num_classes)


def one_layer(images: Any, num_classes: int, *, training: bool) -> Any:
    """Count in the smallest network, whose steps would be compiled."""
    calls = state("calls")
    if training:
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign_add(calls, 1.0))
    return small_run.linear(images, num_classes, training=training)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.slow
def test_every_kind_of_update_counts(parts: int, tmp_path: Path) -> None:
    options = {"micro_batches": parts, "scaling": "unit", "augment": []}
    found = small_run.run(tmp_path / "run", updating, **options)
    steps = small_run.OPTIONS["steps"]
    # The changes of the parts are averaged, so the number of parts does not change a rate of decay.
    assert [found[name] for name in ("assign", "add", "method")] == [steps] * 3
    assert found["mean"] == pytest.approx(0.5, abs=0.1)  # of uniform pixels in 0..1


def test_updates_count_where_steps_would_be_compiled(tmp_path: Path) -> None:
    options = {"augment": [], "batch_size": 5, "xla": "auto"}
    assert small_run.run(tmp_path / "run", one_layer, **options)["calls"] == 13


@pytest.mark.slow
def test_updates_are_resumed_exactly(tmp_path: Path) -> None:
    small_run.assert_cuts_change_nothing(tmp_path, updating)


def test_an_update_inside_a_branch_is_refused(tmp_path: Path) -> None:
    def model(images: Any, num_classes: int, *, training: bool) -> Any:
        count = state("count")

        def branch() -> Any:
            update = tf.assign_add(count, 1.0)
            tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
            return tf.constant(0.0)

        if training:
            images += tf.cond(tf.reduce_sum(images) > 0, branch, lambda: tf.constant(0.0))
        return small_run.linear(images, num_classes, training=training)

    with pytest.raises(CnnlabError, match=r"test_model_effects.py:\d+ \(in branch\): an update in"):
        small_run.run(tmp_path / "run", model)


def summarized(images: Any, num_classes: int, *, training: bool) -> Any:
    x = layers.max_pooling2d(layers.conv2d(images, 4, 3), 2, 2)
    tf.summary.scalar("average", tf.reduce_mean(x))
    if training:
        tf.summary.scalar("step", tf.cast(tf.train.get_or_create_global_step() + 1, tf.float32))
        tf.summary.histogram("outputs", x)
    return layers.dense(layers.flatten(x), num_classes)


def values_of(folder: Path) -> dict[str, dict[int, float]]:
    """Return what event files have: tag to step to value."""
    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.glob("*tfevents*")):
        for event in tf.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.slow
def test_summaries_of_the_model_are_written(parts: int, tmp_path: Path) -> None:
    options = {"summary_steps": 4, "micro_batches": parts}
    with small_run.make(tmp_path / "run", summarized, **options) as train:
        train.train()
        with train.graph.as_default():
            assert tf.summary.merge_all() is None  # nothing from inside the loop
    found = values_of(tmp_path / "run-logs/train")
    assert found["step"] == {4: 4.0, 8: 8.0, 12: 12.0, 13: 13.0}  # the last step of each run
    assert found["average"].keys() == found["outputs"].keys() == found["step"].keys()
    assert not {"average", "outputs"} & values_of(tmp_path / "run-logs/val").keys()


@pytest.mark.slow
def test_summaries_change_no_weights(tmp_path: Path) -> None:
    def silent(images: Any, num_classes: int, *, training: bool) -> Any:
        x = layers.max_pooling2d(layers.conv2d(images, 4, 3), 2, 2)
        return layers.dense(layers.flatten(x), num_classes)

    found = small_run.run(tmp_path / "loud", summarized, summary_steps=2)
    small_run.assert_same_bits(found, small_run.run(tmp_path / "silent", silent))


def test_summaries_cannot_be_compiled(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\(in summarized\): XLA cannot compile tf.summary"):
        small_run.run(tmp_path / "run", summarized, xla=True)


RANDOM = {
    "dropout": lambda x: tf.nn.dropout(x, rate=0.5),
    "seeded": lambda x: x + tf.random.normal(tf.shape(x), seed=3),
    "uniform": lambda x: x + tf.random_uniform(tf.shape(x)),
    "shuffle": tf.random.shuffle,
    "in a branch": lambda x: tf.cond(
        tf.reduce_sum(x) > 0, lambda: tf.nn.dropout(x, rate=0.5), lambda: x
    ),
    "in a loop": lambda x: tf.while_loop(
        lambda i, _: i < 2, lambda i, y: (i + 1, tf.nn.dropout(y, rate=0.5)), (0, x)
    )[1],
    "crop": lambda x: tf.image.random_crop(x, tf.shape(x)),
}


@pytest.mark.parametrize("kind", RANDOM)
@pytest.mark.slow
def test_random_numbers_without_a_key_are_refused(kind: str, tmp_path: Path) -> None:
    def model(images: Any, num_classes: int, *, training: bool) -> Any:
        x = RANDOM[kind](images) if training else images
        return small_run.linear(x, num_classes, training=training)

    with pytest.raises(CnnlabError, match=r"test_model_effects.py:\d+ \(in .*seed=cnnlab.random_k"):
        small_run.run(tmp_path / "run", model)
    assert not (tmp_path / "run").exists()


def test_random_numbers_in_inference_are_refused(tmp_path: Path) -> None:
    def model(images: Any, num_classes: int, *, training: bool) -> Any:
        return small_run.linear(tf.nn.dropout(images, rate=0.5), num_classes, training=training)

    with pytest.raises(CnnlabError, match="RandomUniform draws other numbers"):
        small_run.make(tmp_path / "run", model).build_graph()


@pytest.mark.slow
def test_random_numbers_can_be_accepted_and_are_recorded(tmp_path: Path) -> None:
    def model(images: Any, num_classes: int, *, training: bool) -> Any:
        x = tf.nn.dropout(images, rate=0.5) if training else images
        return small_run.linear(x, num_classes, training=training)

    small_run.run(tmp_path / "run", model, allow_stateful_random=True)
    assert "allow_stateful_random: true" in (tmp_path / "run/config.yaml").read_text()


@pytest.mark.slow
def test_keyed_and_unused_random_numbers_are_accepted(tmp_path: Path) -> None:
    def model(images: Any, num_classes: int, *, training: bool) -> Any:
        tf.random_uniform([3])  # nothing depends on it
        if training:
            key = layers.tower.random_key("noise")
            images += tf.random.stateless_normal(tf.shape(images), seed=key)
        return small_run.linear(images, num_classes, training=training)

    small_run.assert_cuts_change_nothing(tmp_path, model)


@pytest.mark.slow
def test_a_loop_of_ones_own_trains_the_training_network(tmp_path: Path) -> None:
    """session.run(train_op, feed_dict): dropout, batch norm and updates are in force."""
    images, labels = small_run.arrays()[0]
    with small_run.make(tmp_path / "run", small_run.network, augment=[], l2=0.1) as train:
        before = small_run.variables(train)
        feed = {train.images_ph: images, train.labels_ph: labels}
        losses = []
        for _ in range(3):
            fetches = [train.train_graph.objective, train.train_graph.train_loss, train.train_op]
            objective, loss, _ = train.session.run(fetches, feed)
            losses.append(loss)
            assert objective > loss  # the penalties
        after = small_run.variables(train)
        # Dropout is at work in training only: inference's loss is another.
        inference = train.session.run(train.loss, feed)
    assert after["global_step"] == before["global_step"] + 3
    assert np.abs(after["norm1/moving_mean"] - before["norm1/moving_mean"]).max() > 0
    assert inference not in losses
