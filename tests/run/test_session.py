"""SessionOwner: when it builds and frees its graph, and which weights it uses."""

import functools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Train
from cnnlab.base.errors import CnnlabError, DataError, UsageError
from cnnlab.base.tf1 import tf, tf2
from cnnlab.data.datasets import Split
from tests import small_run


@pytest.mark.slow
def test_build_graph_needs_neither_data_nor_options() -> None:
    """`Train().build_graph()` builds the CIFAR-10 network without data files."""
    with Train() as train:
        graph = train.build_graph()
        assert isinstance(graph, tf.Graph)
        assert train.graph is graph
        assert train.build_graph() is graph
        assert train.step == 0
        with graph.as_default():
            sizes = [int(np.prod(v.shape)) for v in tf.trainable_variables()]
        assert sum(sizes) == 233_130
    assert list(Path().iterdir()) == []


@pytest.mark.slow
def test_close_and_train_again(tmp_path: Path) -> None:
    train = small_run.make(tmp_path / "save", small_run.linear)
    train.session.run(train.train_op)
    assert train.step == 1
    train.close()
    assert train.step == 0
    train.session.run(train.train_op, {train.steps_ph: 2})
    assert train.step == 2
    train.close()
    train.close()


@pytest.mark.slow
def test_several_in_one_process(tmp_path: Path) -> None:
    first, second = (small_run.make(tmp_path / n, small_run.linear, steps=2) for n in "ab")
    with first, second:
        assert first.graph is not second.graph
        first.train()
        assert (first.step, second.step) == (2, 0)
        second.train()
        small_run.assert_same_bits(small_run.variables(second), small_run.variables(first))


@pytest.mark.slow
def test_evaluate_counts_every_image_whatever_the_batch(tmp_path: Path) -> None:
    _, (images, labels) = small_run.arrays()
    found = []
    for batch_size in (1, 3, 7, 500):
        with small_run.make(tmp_path / "none", eval_batch_size=batch_size) as train:
            _ = train.session
            result = train.evaluate()
            logits = train.session.run(train.logits, {train.images_ph: images})
            assert result["accuracy"] == np.mean(logits.argmax(1) == labels)
            found.append(result)
    assert {result["n"] for result in found} == {7}
    assert len({result["accuracy"] for result in found}) == 1
    np.testing.assert_allclose([r["loss"] for r in found], found[0]["loss"], rtol=1e-6)
    assert not (tmp_path / "none").exists()


def test_splits(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", small_run.linear, validation_split=0.2) as train:
        _ = train.session
        sizes = {name: train.evaluate(name)["n"] for name in ("train", "validation", "test")}
        assert sizes == {"train": 16, "validation": 4, "test": 7}
        assert train.evaluate("train", limit=5)["n"] == 5
        images, labels = small_run.arrays()[0]
        assert train.evaluate(Split(images[:3], labels[:3].astype(np.int32)))["n"] == 3
        with pytest.raises(UsageError, match="unknown split dev; it is one of train, validation"):
            train.evaluate("dev")


def test_predict(tmp_path: Path) -> None:
    images = small_run.arrays()[1][0]
    with small_run.make(tmp_path / "save", small_run.linear, eval_batch_size=3) as train:
        _ = train.session
        found = train.predict(images)
        assert found.shape == (7, 4)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
        probabilities = train.train_graph.inference.probabilities
        expected = train.session.run(probabilities, {train.images_ph: images})
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert train.predict(images[:0]).shape == (0, 4)


@pytest.mark.slow
def test_evaluate_and_predict_use_the_runs_weights(tmp_path: Path) -> None:
    images = small_run.arrays()[1][0]
    with small_run.make(tmp_path / "save", steps=5) as train:
        result = train.train()
        expected = train.predict(images)
    with small_run.make(tmp_path / "save") as train:
        assert train.evaluate()["loss"] == result["loss"]
        assert train.step == 5
    with small_run.make(tmp_path / "save") as train:
        assert np.array_equal(train.predict(images), expected)


@pytest.mark.slow
def test_after_overwriting_the_new_run_is_used(tmp_path: Path) -> None:
    """--overwrite deletes the old run; it must not hide the new one."""
    with small_run.make(tmp_path / "save", steps=3, overwrite=True) as train:
        result = train.train()
        train.close()
        assert train.evaluate()["loss"] == result["loss"]
        assert train.step == 3


@pytest.mark.slow
def test_restore(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", steps=6, checkpoint_steps=2) as train:
        train.train()
        last = small_run.variables(train)
        assert train.restore(4) == 4
        assert train.step == 4
        train.session.run(train.train_op, {train.steps_ph: 2})  # the input stream is restored too
        small_run.assert_same_bits(small_run.variables(train), last)
        assert train.restore() == 6
        with pytest.raises(CnnlabError, match="has no checkpoint of step 5; it has: 2, 4, 6"):
            train.restore(5)


def test_the_saver_writes_what_tensorflow_reads(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", small_run.linear) as train:
        path = train.saver.save(train.session, str(tmp_path / "mine"))
        kernel = small_run.variables(train)["logits/kernel"]
    assert np.array_equal(tf.train.load_checkpoint(path).get_tensor("logits/kernel"), kernel)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_sise": 5}, "unknown option batch_sise in the options; did you mean batch_size?"),
        ({"batch_size": 0}, "--batch_size=0 is not valid"),
        ({"batch_size": 21}, "--batch_size=21 is more than the 20 training images of arrays"),
        (
            {"batch_size": 17, "validation_split": 0.2},
            "--batch_size=17 is more than the 16 training images",
        ),
        ({"augment": ["flipp"]}, "unknown augmentation flipp; did you mean flip?"),
        ({"validation_split": 0.99}, "leaves none to train on"),
    ],
)
def test_wrong_options_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        small_run.make("save", **options)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "cifar_cmn"}, "unknown model cifar_cmn; did you mean cifar_cnn?"),
        ({"model_options": {"dropuot": 1}}, "takes no dropuot; it takes: "),
        ({"dataset": "mnits"}, "unknown dataset mnits; did you mean mnist?"),
        ({"dataset": "shapes", "batch_size": 5001}, "more than the 5000 training images of shapes"),
        ({"dataset": "mnist", "label_mode": "coarse"}, "label_mode 'coarse' is for cifar100"),
        ({"config": "mnist_cmn"}, "unknown recipe mnist_cmn; did you mean mnist_cnn?"),
    ],
)
def test_unknown_names_are_refused_at_once(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Train(**given)


class Scaled:
    """A model that is an object."""

    def __call__(self, images: Any, num_classes: int, *, training: bool) -> Any:
        return scaled(images, num_classes, training=training, factor=2)


def scaled(images: Any, num_classes: int, *, training: bool, factor: float) -> Any:
    return factor * small_run.linear(images, num_classes, training=training)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (functools.partial(scaled, factor=2), f"{__name__}:scaled(...)"),
        (Scaled(), f"{__name__}:Scaled(...)"),
        (functools.partial(Scaled()), f"{__name__}:Scaled(...)"),
        (Scaled().__call__, f"{__name__}:Scaled.__call__"),
    ],
)
@pytest.mark.slow
def test_any_callable_is_a_model(model: Any, name: str, tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", model) as train:
        assert train.config.model == name
        logits = train.session.run(train.logits, {train.images_ph: small_run.arrays()[1][0]})
    with small_run.make(tmp_path / "other", scaled, model_options={"factor": 2}) as train:
        expected = train.session.run(train.logits, {train.images_ph: small_run.arrays()[1][0]})
    assert np.array_equal(logits, expected)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Scaled, f"model={__name__}:Scaled cannot be called as .*: too many positional arguments"),
        (
            lambda images, num_classes: None,
            "model=.*<lambda> .*unexpected keyword argument 'train",
        ),
        (lambda images, training: None, "model=.*<lambda> .*multiple values for argument 'trainin"),
        (tf2.keras.layers.Dense(4), "model=.*:Dense is an object of Keras, .*with cnnlab.layers"),
        (functools.partial(tf2.keras.Sequential()), "model=.*:Sequential is an object of Keras"),
    ],
)
def test_what_is_no_model_is_refused_at_once(model: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        small_run.make("save", model)
    assert "\n" not in str(error.value)


def test_arrays_of_another_kind_are_refused_at_once() -> None:
    (images, labels), test = small_run.arrays()
    with pytest.raises(DataError, match="train images are float64, expected uint8"):
        Train(data=((images / 255, labels), test))


def test_given_arrays_are_checked_as_files_are(tmp_path: Path) -> None:
    images, labels = small_run.arrays()[1]
    with small_run.make(tmp_path / "save", small_run.linear) as train:
        _ = train.session
        for wrong, why in (
            (images / 255, r"given images are float64, .*\(images \* 255\)\.round\(\)"),
            (images.astype(int) - 128, "given images are int64, .*undo what made them negative"),
            (images.astype(np.uint16) * 257, "given images are uint16, .*images // 257"),
        ):
            with pytest.raises(DataError, match=why):
                train.predict(wrong)
            with pytest.raises(DataError, match=why):
                train.evaluate(Split(wrong, labels))
        for labels_like, why in (
            (labels + 1, "given labels: label 4 at index 3 is outside 0..3; number the classes"),
            (labels[:3], "given has 7 images and 3 labels"),
            (labels * 1.0, r"given labels are float64 .*labels\.astype\('int64'\)"),
        ):
            with pytest.raises(DataError, match=why):
                train.evaluate(Split(images, labels_like))
        right = train.evaluate()
        assert train.evaluate((images.tolist(), labels[:, None])) == right
        assert np.array_equal(train.predict(images.astype(np.int32)), train.predict(images))


def test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    match = r"given images have shape \(2, 9, 9, 3\), .*\[n, 8, 8, 3\]"
    with small_run.make(tmp_path / "save", small_run.linear) as train:
        _ = train.session
        with pytest.raises(DataError, match=match):
            train.predict(np.zeros((2, 9, 9, 3), np.uint8))


@pytest.mark.slow
def test_without_a_session_or_a_run_there_are_no_weights(tmp_path: Path) -> None:
    images, _ = small_run.arrays()[1]
    with small_run.make(tmp_path / "save", small_run.linear) as train:
        for use in (train.evaluate, lambda: train.predict(images)):
            with pytest.raises(CnnlabError, match="save holds no checkpoint, so no"):
                use()
        _ = train.session  # whoever reads it wants the weights that it has
        untrained = train.predict(images)
        train.train(steps=2)
        trained = train.predict(images)
        assert not np.array_equal(trained, untrained)
        train.close()
        assert np.array_equal(train.predict(images), trained)
        train.close()
        shutil.rmtree(tmp_path / "save")
        with pytest.raises(CnnlabError, match="no checkpoint"):
            train.predict(images)
