"""The models: shapes, parameters, names of variables, and losses against an independent twin."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cnnlab import Train
from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import tf
from cnnlab.models import MODELS, check_model_options, find_model
from tests import small_run

SHAPES = {
    "cifar_cnn": (32, 32, 3),
    "mnist_cnn": (28, 28, 1),
    "mnist_convnet": (28, 28, 1),
    "mnist_perceptron": (28, 28, 1),
}
BATCH, STEPS = 8, 10


def images_for(name: str, n: int = BATCH * STEPS) -> Any:
    rng = np.random.default_rng(4)
    return rng.integers(0, 256, (n, *SHAPES[name]), np.uint8), rng.integers(0, 10, n)


def make(name: str, save_dir: Path, **options: Any) -> Train:
    images, labels = images_for(name)
    labels[:10] = np.arange(10)
    data = ((images, labels), (images, labels))
    return small_run.make(
        save_dir, name, data, **{"batch_size": BATCH, "augment": [], "decay_steps": 1000, **options}
    )


# The weights and biases of each layer, counted by hand.
PARAMETERS = {
    "cifar_cnn": (5 * 5 * 3 * 64 + 64)  # 32x32
    + (5 * 5 * 64 * 64 + 64)  # 16x16
    + (5 * 5 * 64 * 32 + 32)  # 8x8
    + (4 * 4 * 32 * 128 + 128)
    + (128 * 64 + 64)
    + (64 * 10 + 10),
    "mnist_cnn": (5 * 5 * 1 * 32 + 32)  # 28x28
    + (5 * 5 * 32 * 64 + 64)  # 14x14
    + (7 * 7 * 64 * 1024 + 1024)
    + (1024 * 10 + 10),
    "mnist_convnet": (3 * 3 * 1 * 64 + 64)  # 26x26, then 13x13
    + (3 * 3 * 64 * 128 + 128)  # 11x11, then 5x5
    + (5 * 5 * 128 * 1024 + 1024)
    + (1024 * 10 + 10),
    "mnist_mlp": (28 * 28 * 128 + 128) + (128 * 60 + 60) + (60 * 10 + 10),
    "mnist_perceptron": 28 * 28 * 10 + 10,
}
LAYERS = {
    "cifar_cnn": ["conv1", "conv2", "conv3", "dense1", "dense2", "logits"],
    "mnist_cnn": ["conv1", "conv2", "dense1", "logits"],
    "mnist_convnet": ["conv1", "conv2", "dense1", "logits"],
    "mnist_mlp": ["dense1", "dense2", "logits"],
    "mnist_perceptron": ["logits"],
}


def test_every_model_is_tested_in_this_folder() -> None:
    tests = "".join(file.read_text() for file in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name in MODELS if f'"{name}"' not in tests] == []


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_parameters_and_names(name: str, tmp_path: Path) -> None:
    """Users' checkpoints contain the names, so a change would break them."""
    with make(name, tmp_path / "save") as train:
        assert train.logits.shape.as_list() == [None, 10]
        with train.graph.as_default():
            trainable = {v.op.name: v.shape.as_list() for v in tf.trainable_variables()}
            every = [v.op.name for v in tf.global_variables()]
    assert sum(int(np.prod(shape)) for shape in trainable.values()) == PARAMETERS[name]
    weights = [f"{layer}/{part}" for layer in LAYERS[name] for part in ("kernel", "bias")]
    assert list(trainable) == weights
    moments = [f"{weight}/{slot}" for weight in weights for slot in ("Adam", "Adam_1")]
    powers = ["optimizer/beta1_power", "optimizer/beta2_power"]
    assert sorted(every) == sorted(["global_step", *weights, *powers, *moments])


def keras_twin(name: str, weights: dict[str, Any]) -> Callable[[Any], Any]:
    """Return the network of the source program in Keras 3, starting from the given weights."""
    import tensorflow

    keras = tensorflow.keras
    k = keras.layers
    same = {"padding": "same", "activation": "relu"}
    stacks = {
        "cifar_cnn": [
            *(k.Conv2D(64, 5, **same), k.MaxPooling2D(2), k.Conv2D(64, 5, **same)),
            *(k.MaxPooling2D(2), k.Conv2D(32, 5, **same), k.MaxPooling2D(2), k.Flatten()),
            *(k.Dense(128, "relu"), k.Dense(64, "relu"), k.Dense(10)),
        ],
        "mnist_cnn": [
            *(k.Conv2D(32, 5, **same), k.MaxPooling2D(2), k.Conv2D(64, 5, **same)),
            *(k.MaxPooling2D(2), k.Flatten(), k.Dense(1024, "relu"), k.Dense(10)),
        ],
        "mnist_convnet": [
            *(k.Conv2D(64, 3, activation="relu"), k.MaxPooling2D(2)),
            *(k.Conv2D(128, 3, activation="relu"), k.MaxPooling2D(2), k.Flatten()),
            *(k.Dense(1024, "relu"), k.Dense(10)),
        ],
        "mnist_mlp": [k.Flatten(), k.Dense(128, "relu"), k.Dense(60, "relu"), k.Dense(10)],
    }
    twin = keras.Sequential([keras.Input(SHAPES[name]), *stacks[name]])
    twin.set_weights([weights[f"{n}/{part}"] for n in LAYERS[name] for part in ("kernel", "bias")])
    return twin


def twin_losses(name: str, weights: dict[str, Any], batches: Any, rate: float) -> list[float]:
    """Return the losses of ten eager steps with the Adam of Keras."""
    import tensorflow

    twin: Any = keras_twin(name, weights)
    optimizer = tensorflow.keras.optimizers.Adam(rate, epsilon=1e-8)
    loss_of = tensorflow.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = []
    for images, labels in batches:
        with tensorflow.GradientTape() as tape:
            logits = twin(images.astype(np.float32) / 255, training=True)
            loss = loss_of(labels, logits)
        gradients = tape.gradient(loss, twin.trainable_variables)
        optimizer.apply_gradients(zip(gradients, twin.trainable_variables, strict=True))
        losses.append(float(loss))
    return losses


def perceptron_losses(weights: dict[str, Any], batches: Any, rate: float) -> list[float]:
    """Return the losses of gradient descent in NumPy, in double precision."""
    kernel = weights["logits/kernel"].astype(np.float64)
    bias = weights["logits/bias"].astype(np.float64)
    losses = []
    for images, labels in batches:
        inputs = images.reshape(len(images), -1) / 255
        logits = inputs @ kernel + bias
        logits -= logits.max(axis=1, keepdims=True)
        softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        losses.append(float(-np.log(softmax[np.arange(len(labels)), labels]).mean()))
        slope: npt.NDArray[np.float64] = (softmax - np.eye(10)[labels]) / len(labels)
        kernel -= rate * inputs.T @ slope
        bias -= rate * slope.sum(axis=0)
    return losses


@pytest.mark.parametrize(
    "name",
    [n if n == "mnist_convnet" else pytest.param(n, marks=pytest.mark.slow) for n in SHAPES],
)
@pytest.mark.slow
def test_same_losses_as_the_twin(name: str, tmp_path: Path) -> None:
    """Both start from the same weights and see the same batches, without dropout."""
    images, labels = images_for(name)
    batches = [(images[i : i + BATCH], labels[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    is_perceptron = name == "mnist_perceptron"
    options: dict[str, Any] = {"optimizer": "sgd" if is_perceptron else "adam"}
    if is_perceptron:
        options["model_options"] = {"init_stddev": 0.1}
    elif name.startswith("mnist"):
        options["model_options"] = {"dropout": 0}
    rate = 0.01 if is_perceptron else 1e-3
    with make(name, tmp_path / "save", learning_rate=rate, **options) as train:
        weights = small_run.variables(train)
        found = [
            train.session.run(
                train.train_graph.train_loss, {train.images_ph: i, train.labels_ph: n}
            )
            for i, n in batches
        ]
        assert train.step == STEPS
    if is_perceptron:
        expected = perceptron_losses(weights, batches, rate)
    else:
        expected = twin_losses(name, weights, batches, rate)
    assert abs(expected[0] - expected[-1]) > 1e-2  # the weights changed
    # Some losses are near 30, where the resolution of float32 is 2e-6.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("mnist_cnn", {}, {"conv1/kernel": 0.1, "conv1/bias": (0.1, 0), "logits/bias": (0.1, 0)}),
        ("mnist_perceptron", {}, {"logits/kernel": 1.0}),
        ("mnist_perceptron", {"init_stddev": 0.01}, {"logits/kernel": 0.01}),
        (
            "mnist_perceptron",
            {"init_stddev": 0.0},
            {"logits/kernel": (0, 0), "logits/bias": (0, 0)},
        ),
    ],
)
def test_starts(
    name: str, options: dict[str, float], expected: dict[str, Any], tmp_path: Path
) -> None:
    """`expected` has the standard deviation of a normal start, or the (mean, sd) of a constant."""
    with make(name, tmp_path / "save", model_options=options) as train:
        found = small_run.variables(train)
    for variable, figures in expected.items():
        mean, sd = figures if isinstance(figures, tuple) else (0, figures)
        values = found[variable]
        assert values.mean() == pytest.approx(mean, abs=0.02 + 0.03 * sd)
        if name == "mnist_cnn" and sd:  # truncated at two standard deviations
            assert np.abs(values).max() <= 2 * sd + 1e-6
            sd *= 0.8796
        assert values.std() == pytest.approx(sd, rel=0.1, abs=1e-6)


@pytest.mark.parametrize(("name", "rate"), [("mnist_cnn", 0.5), ("mnist_convnet", 0.4)])
def test_dropout_is_where_the_source_has_it(name: str, rate: float) -> None:
    """Dropout zeroes a fraction `rate` of what relu leaves above 0, and scales the rest."""
    from cnnlab.layers.tower import Tower, building

    images, _ = images_for(name, 20)
    with tf.Graph().as_default(), tf.Session() as session:
        with building(Tower(1, tf.constant(0, tf.int64))) as tower:
            MODELS[name](tf.constant(images, tf.float32) / 255, 10, training=True)
        session.run(tf.global_variables_initializer())
        before, after = session.run((tower.activations["dense1"], tower.activations["dropout1"]))
    alive = before > 0
    kept = after[alive] != 0
    assert kept.mean() == pytest.approx(1 - rate, abs=0.03)
    np.testing.assert_allclose(after[alive][kept], before[alive][kept] / (1 - rate), rtol=1e-5)


def test_finding_models() -> None:
    assert find_model("mnist_cnn") is MODELS["mnist_cnn"]
    with pytest.raises(UsageError, match=r"unknown model cifar_cmn; did you mean cifar_cnn\?"):
        find_model("cifar_cmn")
    with pytest.raises(UsageError, match="unknown model q; known: age_gender, "):
        find_model("q")
    with pytest.raises(UsageError, match="does not have the code of its model os:system"):
        find_model("os:system")


def test_arguments_of_models() -> None:
    check_model_options(MODELS["mnist_cnn"], {"dropout": 0.1})
    check_model_options(lambda images, num_classes, *, training, **more: None, {"any": 1})
    with pytest.raises(UsageError, match="takes no training; it takes: "):
        check_model_options(MODELS["mnist_cnn"], {"training": True})
    with pytest.raises(UsageError, match="takes no dropuot; it takes: "):
        check_model_options(MODELS["cifar_cnn"], {"dropuot": 0.1})
