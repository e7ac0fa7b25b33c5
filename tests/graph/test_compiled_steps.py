"""Many steps in one compiled operation."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from cnnlab import Train, layers
from cnnlab.base.errors import NonFiniteError
from cnnlab.base.tf1 import tf, tf2
from cnnlab.config.update_options import Optimizer
from cnnlab.graph import compiled_steps as compiled
from cnnlab.layers.kernels.dense import transposed_product
from tests import small_run

STEPS_IN_CHUNK = 3
NUM_TRAIN = 40
OPTIONS: dict[str, Any] = {
    "augment": [],
    "batch_size": 7,  # batches straddle epochs
    "optimizer": "sgd",
    "schedule": "constant",
    "learning_rate": 0.01,
    "steps": 11,
}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "MOST_STEPS", STEPS_IN_CHUNK)
    monkeypatch.setattr(compiled, "LEAST_STEPS", 1)


def arrays(size: int = 16, classes: int = 4) -> Any:
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (NUM_TRAIN, size, size, 3), np.uint8)
    labels = np.arange(NUM_TRAIN) % classes
    return (images, labels), (images[:9], labels[:9])


def make(
    save_dir: Path, network: Any = small_run.linear, data: Any = None, **options: Any
) -> Train:
    return small_run.make(save_dir, network, data or arrays(), **{**OPTIONS, **options})


def has_chunks(train: Train) -> bool:
    with train.graph.as_default():
        return any(
            variable.op.name.startswith("resident_data/chunk/") for variable in tf.local_variables()
        )


def relu_in_training(images: Any, num_classes: int, *, training: bool) -> Any:
    logits = small_run.linear(images, num_classes, training=training)
    return tf.nn.relu(logits) if training else logits


def two_layers(images: Any, num_classes: int, *, training: bool) -> Any:
    return small_run.linear(layers.dense(images, 600), num_classes, training=training)


def own_product(images: Any, num_classes: int, *, training: bool) -> Any:
    del training
    weights = tf.get_variable("weights", [16 * 16 * 3, num_classes])
    return tf.matmul(tf.reshape(images, [-1, 16 * 16 * 3]), weights)


def cross_entropy_of_the_user_s_own(labels: Any, logits: Any) -> Any:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def gradient_descent_of_the_user_s_own(learning_rate: Any) -> Any:
    return tf.train.GradientDescentOptimizer(learning_rate)


def constant_rate_of_the_user_s_own(step: Any) -> Any:
    return 0.01 + 0.0 * tf.cast(step, tf.float32)


@pytest.mark.parametrize(
    "given",
    [{}, {"optimizer": "adam", "ema_decay": 0.9}, {"xla": True}, {"scaling": "normalize"}],
    ids=str,
)
def test_one_narrow_product_is(given: dict[str, Any], tmp_path: Path) -> None:
    assert has_chunks(make(tmp_path, **given))


@pytest.mark.parametrize(
    "given",
    [
        {"xla": False},
        {"augment": ["flip"]},
        {"precision": "bfloat16"},
        {"xla": "auto", "micro_batches": 7},
        {"network": relu_in_training},
        {"network": two_layers},
        {"network": own_product},
        {"l2": 0.1},  # of which XLA could compile the penalty, but it was not measured
        {"loss": cross_entropy_of_the_user_s_own},
        {"optimizer": gradient_descent_of_the_user_s_own},
        {"schedule": constant_rate_of_the_user_s_own, "learning_rate": 0.001},
        {"data": arrays(classes=11)},
        {"data": arrays(size=8)},
        {"batch_size": 40, "data": arrays(size=190)},
    ],
    ids=lambda given: str(given)[:40],
)
@pytest.mark.slow
def test_other_networks_and_options_are_not(given: dict[str, Any], tmp_path: Path) -> None:
    assert not has_chunks(make(tmp_path, **given))


def test_the_product_and_its_gradients_are_numpys() -> None:
    rng = np.random.default_rng(6)
    shapes = [(5, 30), (30, 3), (3,), (5, 3)]
    x, w, b, g = (rng.normal(size=shape).astype("f") for shape in shapes)

    def product(*given: Any) -> Any:
        y = transposed_product(*given)
        return y, *tf.gradients(y, given, g)

    gradients = [g @ w.T, x.T @ g, g.sum(axis=0)]
    for given, expected in (
        ([x, w, b], [x @ w + b, *gradients]),
        ([x, w], [x @ w, *gradients[:2]]),
    ):
        with tf.Graph().as_default(), tf.Session() as session:
            found = session.run(tf2.function(product, jit_compile=True, autograph=False)(*given))
        for one, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-5, atol=1e-5)


KINDS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "weighted": {"optimizer": "momentum", "class_weights": [1, 2, 3, 4], "label_smoothing": 0.1},
    "adam": {"optimizer": "adam", "ema_decay": 0.9, "schedule": "cosine", "scaling": "normalize"},
}


kinds = pytest.mark.parametrize(
    "kind",
    ["weighted", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("sgd", "adam"))],
)


def after_runs(save_dir: Path, runs: list[int], feed: Any = None, **options: Any) -> Any:
    """The variables after session runs of these numbers of steps, the second one fed if there is a
    feed, and the figures of each run's last step."""
    with make(save_dir, **options) as train:
        graph, figures = train.train_graph, []
        for steps in runs:
            fetches = [graph.objective, graph.train_loss, graph.train_accuracy, graph.learning_rate]
            fed = {graph.steps_ph: steps, **(feed(train) if feed and len(figures) == 1 else {})}
            figures.append(train.session.run([graph.train_op, *fetches], fed)[1:])
        return small_run.variables(train), figures


@kinds
@pytest.mark.slow
def test_steps_are_those_made_one_by_one_but_for_rounding(kind: str, tmp_path: Path) -> None:
    runs = [1, 4, 5, 3]
    found, figures = after_runs(tmp_path / "compiled", runs, **KINDS[kind])
    expected, one_by_one = after_runs(tmp_path / "plain", runs, xla=False, **KINDS[kind])
    np.testing.assert_allclose(figures, one_by_one, rtol=1e-4)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-5, err_msg=name)
    assert any(found[name].tobytes() != expected[name].tobytes() for name in found)  # rounding


@kinds
@pytest.mark.slow
def test_bits_do_not_depend_on_how_a_run_is_cut(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = after_runs(tmp_path / "whole", [13], **KINDS[kind])
    cut = after_runs(tmp_path / "cut", [1, 2, 4, 6], **KINDS[kind])
    monkeypatch.setattr(compiled, "MOST_STEPS", 5)
    longer = after_runs(tmp_path / "longer", [6, 7], **KINDS[kind])
    for found, figures in (cut, longer):
        small_run.assert_same_bits(found, whole[0])
        assert figures[-1] == whole[1][-1]


@pytest.mark.slow
def test_a_resumed_run_has_the_bits_of_one_that_was_not_stopped(tmp_path: Path) -> None:
    with make(tmp_path / "whole") as train:
        train.train()
        whole = small_run.variables(train)
    with make(tmp_path / "stopped") as train:
        train.train(steps=5)
    with make(tmp_path / "stopped") as train:
        assert train.train()["finished"]
        small_run.assert_same_bits(small_run.variables(train), whole)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", get_args(Optimizer))
def test_every_optimizer_is_compiled(optimizer: str, tmp_path: Path) -> None:
    options = {"optimizer": optimizer, "weight_decay": 0.01, "clip_norm": 1.0}
    found = after_runs(tmp_path / "compiled", [5], **options)
    expected = after_runs(tmp_path / "plain", [5], xla=False, **options)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-3)


@pytest.mark.slow
def test_a_batch_that_is_fed_takes_the_place_of_the_streams(tmp_path: Path) -> None:
    """Of any size, in the first step of a run alone."""
    (images, labels), _ = arrays()

    def feed(train: Train) -> dict[Any, Any]:
        graph = train.train_graph
        return {graph.inference.images_ph: images[:5], graph.inference.labels_ph: labels[:5]}

    runs, options = [1, 2, 1], KINDS["weighted"]
    found, figures = after_runs(tmp_path / "compiled", runs, feed, **options)
    expected, one_by_one = after_runs(tmp_path / "plain", runs, feed, xla=False, **options)
    np.testing.assert_allclose(figures, one_by_one, rtol=1e-4)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_a_step_whose_loss_is_not_finite_is_the_last_one(tmp_path: Path) -> None:
    options = {"learning_rate": 1e38, "steps": 9, "steps_per_run": 9}
    messages = []
    for xla in ("auto", False):
        with make(tmp_path / str(xla), xla=xla, **options) as train:
            with pytest.raises(NonFiniteError) as caught:
                train.train()
            messages.append(str(caught.value).split(";")[0])
    assert messages[0] == messages[1]


@pytest.mark.slow
def test_weights_of_examples_enter_the_loss(tmp_path: Path) -> None:
    (images, labels), test = arrays()
    weights = np.linspace(0, 2, NUM_TRAIN).astype(np.float32)
    data = ((images, labels, weights), test)
    found = after_runs(tmp_path / "compiled", [4], data=data)
    expected = after_runs(tmp_path / "plain", [4], data=data, xla=False)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4)
