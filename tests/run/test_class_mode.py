"""--class_mode: one output for two classes, and labels as one-hot rows or as numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from PIL import Image
from sklearn import metrics

import cnnlab
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf, tf2
from cnnlab.config.config import Config
from cnnlab.config.resolve import resolve
from cnnlab.evaluate import evaluate
from cnnlab.export import export
from cnnlab.predict import predict
from cnnlab.report import report
from tests import small_run

# Every batch has all images, so that plain loops can repeat a run.
WHOLE: dict[str, Any] = {
    "batch_size": 20,
    "steps": 6,
    "augment": [],
    "optimizer": "sgd",
    "learning_rate": 0.05,
    "schedule": "constant",
}


def two_classes() -> Any:
    """Return the arrays of the small run, with the labels 0 and 1."""
    (train, _), (test, _) = small_run.arrays()
    return (train, np.arange(len(train)) % 2), (test, np.arange(len(test)) % 2)


def weights_after(folder: Path, **options: Any) -> tuple[Any, Any]:
    """Return kernel and bias of a linear network after a run, and those of its start."""
    pair = []
    for steps in (0, WHOLE["steps"]):
        with small_run.make(
            folder / f"{steps}", small_run.linear, two_classes(), **{**WHOLE, **options}
        ) as train:
            if steps:
                train.train()
            found = small_run.variables(train)
        pair.append((found["logits/kernel"], found["logits/bias"]))
    return pair[1], pair[0]


@pytest.mark.parametrize(
    ("loss", "output", "of_keras", "activation"),
    [
        ("sigmoid", "auto", "binary_crossentropy", "sigmoid"),
        ("mse", "auto", "mean_squared_error", "sigmoid"),
        ("hinge", "auto", "hinge", "tanh"),
        ("hinge", "linear", "hinge", "linear"),
        ("squared_hinge", "tanh", "squared_hinge", "tanh"),
    ],
)
@pytest.mark.slow
def test_one_unit_trains_as_in_keras(
    loss: str, output: str, of_keras: str, activation: str, tmp_path: Path
) -> None:
    """The unit's weights are those of Keras's Dense(1), whose hinges take targets -1 and 1."""
    ours, start = weights_after(tmp_path, class_mode="binary", loss=loss, output=output)
    assert ours[0].shape == (192, 1)
    (images, labels), _ = two_classes()
    inputs = tf2.constant(images.reshape(20, -1) / np.float32(255), tf2.float32)
    truth = tf2.constant(labels[:, None] * (2 if "hinge" in loss else 1), tf2.float32)
    truth = truth - 1 if "hinge" in loss else truth
    with tf.Graph().as_default(), tf.Session() as session:
        layer = tf_keras.layers.Dense(1, activation=activation)
        value = tf.reduce_mean(
            getattr(tf_keras.losses, of_keras)(truth.numpy(), layer(inputs.numpy()))
        )
        step = tf.train.GradientDescentOptimizer(0.05).minimize(value, var_list=layer.weights)
        session.run(tf.global_variables_initializer())
        layer_variables = layer.weights
        for variable, array in zip(layer_variables, start, strict=True):
            variable.load(array, session)
        for _ in range(WHOLE["steps"]):
            session.run(step)
        theirs = session.run(layer_variables)
    for found, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_one_hot_rows_and_numbers_give_the_same_figures(tmp_path: Path) -> None:
    found = {}
    for mode in ("categorical", "sparse"):
        with small_run.make(
            tmp_path / mode, small_run.linear, **{**WHOLE, "class_mode": mode}
        ) as train:
            result = train.train()
            kinds = {op.type for op in train.graph.get_operations()}
            found[mode] = (result["loss"], result["accuracy"], small_run.variables(train))
        is_one_hot = "SoftmaxCrossEntropyWithLogits" in kinds
        assert is_one_hot == (mode == "categorical")
    (loss, accuracy, weights), (other_loss, other_accuracy, others) = found.values()
    assert (loss, accuracy) == (pytest.approx(other_loss, abs=1e-6), other_accuracy)
    for name, value in weights.items():
        np.testing.assert_allclose(value, others[name], atol=1e-6)


def test_the_loss_that_each_mode_chooses() -> None:
    chosen = {mode: resolve({"class_mode": mode}) for mode in ("categorical", "sparse", "binary")}
    assert {mode: (c.loss, c.resolved_output) for mode, c in chosen.items()} == {
        "categorical": ("softmax", "softmax"),
        "sparse": ("sparse_softmax", "softmax"),
        "binary": ("sigmoid", "sigmoid"),
    }
    config = resolve({"class_mode": "binary", "loss": "squared_hinge"})
    assert (config.loss, config.resolved_output) == ("squared_hinge", "tanh")
    assert resolve({"loss": "hinge"}).resolved_output == "linear"
    assert Config().class_mode is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"loss": "softmax"},
            "--class_mode=binary does not fit --loss=softmax; use --loss=sigmoid",
        ),
        ({"loss": "kl"}, "--class_mode=binary does not fit --loss=kl; use --loss=sigmoid or mse"),
        (
            {"output": "softmax"},
            "with --class_mode=binary --loss=sigmoid does not fit --output=softmax; use "
            "--output=sigmoid",
        ),
        ({"class_mode": "sparse", "loss": "mse"}, "--class_mode=sparse does not fit --loss=mse"),
        ({"class_mode": "sparse", "augment": ["mixup"]}, "takes class indices only, but mixup"),
        ({"class_mode": "none of these"}, "--class_mode=none of these is not valid"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve({"class_mode": "binary", **options})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_data_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is for two classes, but arrays has 4: 0, 1, 2, 3; use "):
        small_run.make(tmp_path / "a", class_mode="binary")
    with pytest.raises(
        UsageError, match=r"is for two classes, but mnist has 10: 0, 1, .* 5, .*; u"
    ):
        cnnlab.Train(dataset="mnist", class_mode="binary", save_dir=str(tmp_path / "b"))
    (images, labels), test = two_classes()
    values = (images, labels + 0.5), (test[0], test[1] + 0.5)
    with pytest.raises(UsageError, match="class_mode=sparse is for one class an image, but the la"):
        small_run.make(tmp_path / "c", data=values, class_mode="sparse")


@pytest.mark.slow
def test_the_users_functions_get_one_unit(tmp_path: Path) -> None:
    seen: list[tuple[Any, Any]] = []

    def loss(labels: Any, logits: Any) -> Any:
        seen.append((labels.shape.as_list(), logits.shape.as_list()))
        truth = tf.cast(labels, tf.float32)
        truth = truth if truth.shape.rank == 1 else truth[:, -1]
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=truth, logits=logits[:, 0])

    def share(labels: Any, logits: Any) -> Any:
        del labels
        return tf.cast(logits[:, 0] > 0, tf.float32)

    options = {**WHOLE, "loss": loss, "metrics": {"share": share}}
    with small_run.make(
        tmp_path / "own", small_run.linear, two_classes(), class_mode="binary", **options
    ) as train:
        own = train.train()
        classes = train.predict(two_classes()[1][0]).argmax(axis=1)
        own_bias = small_run.variables(train)["logits/bias"]
    assert {tuple(shape[1:]) for _, shape in seen} == {(1,)}
    assert {len(shape) for shape, _ in seen} == {1}
    assert own["share"] == pytest.approx(classes.mean())
    ours, _ = weights_after(tmp_path, class_mode="binary")
    np.testing.assert_allclose(own_bias, ours[1], rtol=1e-5)
    seen.clear()
    with small_run.make(
        tmp_path / "mixed",
        small_run.linear,
        two_classes(),
        **{**options, "class_mode": "binary", "augment": ["mixup"]},
    ) as train:
        train.train(steps=1)
    assert {tuple(shape[1:]) for shape, _ in seen} == {(1,)}


def test_a_model_with_two_outputs_is_refused(tmp_path: Path) -> None:
    def two(images: Any, num_classes: int, *, training: bool) -> Any:
        return small_run.linear(images, num_classes + 1, training=training)

    with pytest.raises(CnnlabError, match=r"returned \(None, 2\); a model must return .*, 1\]"):
        small_run.run(tmp_path / "run", two, data=two_classes(), class_mode="binary")


@pytest.mark.parametrize("options", [{}, {"augment": ["mixup"]}, {"loss": "hinge"}])
@pytest.mark.slow
def test_cuts_change_nothing(options: dict[str, Any], tmp_path: Path) -> None:
    small_run.assert_cuts_change_nothing(
        tmp_path, small_run.network, data=two_classes(), class_mode="binary", **options
    )


def colours(root: str, each: int = 12) -> None:
    """Write pictures whose brightness nearly tells the classes apart."""
    rng = np.random.default_rng(0)
    for label, level in (("day", 150), ("night", 110)):
        for i in range(each):
            path = Path(root, label, f"{label}.{i}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.normal(level, 40, (12, 12, 3)) + rng.normal(0, 20)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["sigmoid", "hinge"])
def test_every_command_on_one_unit(loss: str) -> None:
    colours("sky")
    result = cnnlab.Train(
        dataset="folder:sky",
        class_mode="binary",
        loss=loss,
        model="mnist_mlp",
        batch_size=8,
        steps=40,
        eval_steps=20,
        test_split=0.5,
        learning_rate=0.01,
        device="cpu",
        save_dir="run",
        quiet=True,
        tensorboard="all",
    ).train()
    figures = evaluate("run", predictions="p.csv")
    assert figures["accuracy"] == result["accuracy"]
    rows = [line.split(",") for line in Path("p.csv").read_text().splitlines()[1:]]
    truth = [int(row[1] == "night") for row in rows]
    predicted = [int(row[2] == "night") for row in rows]
    p = [float(row[3]) if row[2] == "night" else 1 - float(row[3]) for row in rows]
    assert figures["confusion_matrix"] == metrics.confusion_matrix(truth, predicted).tolist()
    assert [round(one) for one in p] == predicted
    if loss == "sigmoid":
        assert figures["loss"] == pytest.approx(metrics.log_loss(truth, p), rel=1e-4)
    found = [row["roc_auc"] for row in figures["per_class"]]
    assert found == pytest.approx([metrics.roc_auc_score(truth, p)] * 2)

    answers = predict([row[0] for row in rows], "run")
    assert [answer["class"] for answer in answers] == [row[2] for row in rows]
    for answer in answers:
        assert sum(one["probability"] for one in answer["top"]) == pytest.approx(1)

    export("run", out="model")
    model = tf2.saved_model.load("model")
    images = np.stack([np.asarray(Image.open(row[0])) for row in rows])
    served = model.signatures["serving_default"](images=tf2.constant(images))
    np.testing.assert_allclose(served["probabilities"].numpy()[:, 1], p, atol=1e-5)
    assert served["classes"].numpy().tolist() == predicted
    kernel = tf2.train.load_checkpoint("run").get_tensor("logits/kernel")
    assert kernel.shape[1] == 1
    if loss == "sigmoid":
        report("run", out="page")
        assert "night" in Path("page", "report.html").read_text()
