"""The static graphs: towers, feeding, the fused step, size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Train, layers
from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.config.resolve import resolve
from cnnlab.data.specs import DATASETS
from cnnlab.graph.inference_graph import build_inference_graph
from cnnlab.graph.parts import Parts
from tests import small_run


def test_placeholders_and_tensors(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save") as train:
        assert train.images_ph.dtype == tf.uint8
        assert train.images_ph.shape.as_list() == [None, 8, 8, 3]
        assert train.labels_ph.dtype == tf.int64
        assert train.steps_ph.dtype == tf.int32
        assert train.logits.shape.as_list() == [None, 4]
        assert train.loss.shape.as_list() == []
        assert (train.images_ph.op.name, train.labels_ph.op.name) == (
            *("input/images_ph", "input/labels_ph"),
        )
        (images, labels), _ = small_run.arrays()
        feed = {train.images_ph: images, train.labels_ph: labels}
        logits, loss, probabilities = train.session.run(
            (train.logits, train.loss, train.train_graph.inference.probabilities), feed
        )
        exact = logits.astype(np.float64)
        softmax = np.exp(exact) / np.exp(exact).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(probabilities, softmax, rtol=1e-5)
        expected = -np.log(softmax[np.arange(len(labels)), labels]).mean()
        assert loss == pytest.approx(expected, rel=1e-5)
        assert train.step == 0  # looking is not training


@pytest.mark.slow
def test_inference_has_no_dropout_and_uses_the_moving_averages(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", steps=5) as train:
        train.train()
        images = small_run.arrays()[1][0]
        together = train.session.run(train.logits, {train.images_ph: images})
        again = train.session.run(train.logits, {train.images_ph: images})
        assert np.array_equal(together, again)
        for image, row in zip(images, together, strict=True):
            alone = train.session.run(train.logits, {train.images_ph: image[None]})
            np.testing.assert_allclose(alone[0], row, rtol=1e-4, atol=1e-5)


def weights(train: Train) -> dict[str, Any]:
    return {n: v for n, v in small_run.variables(train).items() if n != "global_step"}


@pytest.mark.slow
def test_a_fed_step_trains_on_the_fed_batch(tmp_path: Path) -> None:
    """Against the same step where the fed images are the stream's own."""
    plain = {"augment": []}
    (images, labels), _ = small_run.arrays()
    with small_run.make(tmp_path / "a", **plain) as train:
        start = weights(train)
        train.session.run(train.train_op)
        streamed = weights(train)
    with small_run.make(tmp_path / "b", **plain) as train:
        other = images[::-1][:3]  # another size too
        train.session.run(train.train_op, {train.images_ph: other, train.labels_ph: labels[:3]})
        fed = weights(train)
        assert train.step == 1
    assert not np.array_equal(fed["logits/kernel"], start["logits/kernel"])
    assert not np.array_equal(fed["logits/kernel"], streamed["logits/kernel"])


@pytest.mark.slow
def test_the_stream_stays_in_step_with_feeding(tmp_path: Path) -> None:
    """Feeding the batch that the stream has for the step changes nothing, then or later."""
    options: dict[str, Any] = {"batch_size": 20, "augment": ["flip"]}  # a batch is an epoch
    with small_run.make(tmp_path / "a", small_run.linear, **options) as train:
        train.session.run(train.train_op, {train.steps_ph: 3})
        streamed = small_run.variables(train)
    (images, labels), _ = small_run.arrays()
    order = batches_of(tmp_path / "c", 20, 3)
    with small_run.make(tmp_path / "b", small_run.linear, **options) as train:
        train.session.run(train.train_op)
        second = order[1]
        feed = {train.images_ph: images[second], train.labels_ph: labels[second]}
        train.session.run(train.train_op, feed)
        train.session.run(train.train_op)
        small_run.assert_same_bits(small_run.variables(train), streamed)


@pytest.mark.slow
def test_only_the_first_step_of_a_fused_run_is_fed(tmp_path: Path) -> None:
    (images, labels), _ = small_run.arrays()
    found = []
    for name, runs in (("a", [3]), ("b", [1, 1, 1])):
        with small_run.make(tmp_path / name) as train:
            feed = {train.images_ph: images[:6], train.labels_ph: labels[:6]}
            for steps in runs:
                train.session.run(train.train_op, {**feed, train.steps_ph: steps})
                feed = {}
            found.append(small_run.variables(train))
    small_run.assert_same_bits(found[0], found[1])


def batches_of(save_dir: Path, batch_size: int, steps: int) -> list[Any]:
    """The image indices that each step trains on, seen through images that say their index."""
    images = np.zeros((20, 8, 8, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(20)
    data = ((images, np.arange(20) % 4), (images, np.arange(20) % 4))
    seen: list[Any] = []

    def network(inputs: Any, num_classes: int, *, training: bool) -> Any:
        if training:
            index = tf.cast(tf.round(inputs[:, 0, 0, 0] * 255), tf.int64)
            with tf.control_dependencies([tf.py_func(note, [index], [])]):
                inputs = tf.identity(inputs)
        return small_run.linear(inputs, num_classes, training=training)

    def note(index: Any) -> None:
        seen.append(index.copy())

    options = {"batch_size": batch_size, "augment": [], "steps": steps}
    with small_run.make(save_dir, network, data, **options) as train:
        train.session.run(train.train_op, {train.steps_ph: steps})
    return seen


@pytest.mark.parametrize("batch_size", [6, 20])
@pytest.mark.slow
def test_each_epoch_visits_every_image_once(batch_size: int, tmp_path: Path) -> None:
    """As the network sees it: three epochs laid end to end, each in an order of its own."""
    batches = batches_of(tmp_path / "save", batch_size, 60 // batch_size)
    assert all(len(batch) == batch_size for batch in batches)
    epochs = np.concatenate(batches).reshape(3, 20)
    assert (np.sort(epochs, axis=1) == np.arange(20)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.slow
def test_moving_averages_are_updated_in_the_step(tmp_path: Path) -> None:
    """Against NumPy: moving mean of the first batch, without augmentation."""

    def network(images: Any, num_classes: int, *, training: bool) -> Any:
        x = layers.batch_normalization(images, training=training, momentum=0.75, name="norm")
        return layers.dense(layers.flatten(x), num_classes, name="logits")

    (images, _), _ = small_run.arrays()
    with small_run.make(tmp_path / "save", network, augment=[], batch_size=20) as train:
        train.session.run(train.train_op)
        found = small_run.variables(train)
    pixels = images.astype(np.float64).reshape(-1, 3) / 255
    np.testing.assert_allclose(found["norm/moving_mean"], 0.25 * pixels.mean(0), rtol=1e-5)
    n = len(pixels)
    for variance in (pixels.var(0), pixels.var(0) * n / (n - 1)):
        expected = 0.75 + 0.25 * variance
        np.testing.assert_allclose(found["norm/moving_variance"], expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (lambda images, num_classes, *, training: None, r"returned None \(is there a return"),
        (lambda images, num_classes, *, training: images, r"returned \(None, 8, 8, 3\);"),
        (
            lambda images, num_classes, *, training: (images, 1),
            "a tuple of 2, not the",
        ),
        (lambda images, num_classes, *, training: "x", "an object of the type str"),
        (
            lambda images, num_classes, *, training: tf.zeros([2, num_classes], tf.float64),
            r"returned float64 \(see tf.cast\)",
        ),
        (
            lambda images, num_classes, *, training: layers.dense(layers.flatten(images), 3),
            r"test_training_graph.py:\d+ \(<lambda>\) returned \(None, 3\); a model must return "
            r"logits \[batch, 4\], float32",
        ),
    ],
)
def test_a_model_without_logits_is_refused(network: Any, problem: str, tmp_path: Path) -> None:
    with (
        small_run.make(tmp_path / "save", network) as train,
        pytest.raises(CnnlabError, match=problem),
    ):
        train.build_graph()
    assert list(tmp_path.iterdir()) == []


def test_the_predict_graph_has_only_the_network() -> None:
    with tf.Graph().as_default() as graph:
        build_inference_graph(resolve({}), DATASETS["cifar10"], Parts(small_run.linear))
        names = [v.op.name for v in tf.global_variables()]
    assert names == ["logits/kernel", "logits/bias"]
    assert not any("training" in op.name for op in graph.get_operations())


@pytest.mark.slow
def test_full_size_data_stay_out_of_graph_events_and_checkpoints(tmp_path: Path) -> None:
    """50,000 images of 32x32x3: 154 MB. A GraphDef under 1 MB, event files under 5 MB."""
    images = np.random.default_rng(0).integers(0, 256, (50_000, 32, 32, 3), np.uint8)
    labels = np.arange(50_000) % 10
    data = ((images, labels), (images[:50], labels[:50]))
    options = {"batch_size": 8, "steps": 2, "augment": ["flip"], "decay_steps": 1000}
    with small_run.make(tmp_path / "save", "cifar_cnn", data, **options) as train:
        train.train()
        assert train.graph.as_graph_def().ByteSize() < 1_000_000
        with train.graph.as_default():
            assert not any("resident" in v.op.name for v in tf.global_variables())
    logs = [p.stat().st_size for p in (tmp_path / "save-logs").rglob("*") if p.is_file()]
    assert 0 < sum(logs) < 5_000_000
    saved = [p.stat().st_size for p in (tmp_path / "save").glob("model.ckpt-*")]
    # Weights and Adam's two moments of 233,130 parameters, 4 bytes each.
    assert 3 * 4 * 233_130 < sum(saved) < 3 * 4 * 233_130 + 20_000
