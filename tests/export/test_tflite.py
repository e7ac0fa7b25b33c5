"""Exports for TensorFlow Lite with 8-bit weights, and what it lacks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Train, layers
from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.export import export
from cnnlab.models import MODELS
from tests import commands
from tests.export.test_export import READER


def noisy_patterns(n: int, seed: int) -> tuple[Any, Any]:
    """Draw images uint8 [n, 28, 28] of ten classes, so noisy that a network makes mistakes."""
    patterns = np.random.default_rng(0).normal(size=(10, 7, 7)).repeat(4, axis=1).repeat(4, axis=2)
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = 128 + 12 * patterns[labels] + rng.normal(0, 60, (n, 28, 28))
    return images.clip(0, 255).astype(np.uint8), labels.astype(np.uint8)


@pytest.mark.slow
def test_int8_is_about_as_accurate(tmp_path: Path) -> None:
    """The data files are not official ones, and have been moved since training."""
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    x_train, y_train = noisy_patterns(2000, 1)
    x_test, y_test = noisy_patterns(2000, 2)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez(tmp_path / "there/mnist.npz", **arrays)
    run = tmp_path / "run"
    options = {"dataset": "mnist", "verify_data": False, "data_dir": str(tmp_path / "there")}
    options |= {"model": "mnist_convnet", "steps": 80, "batch_size": 50, "eval_steps": 1000}
    with Train(save_dir=str(run), **options) as train:
        accuracy = train.train()["accuracy"]
    assert 0.7 < accuracy < 0.999  # otherwise, a loss of accuracy would not show
    (tmp_path / "there/mnist.npz").rename(tmp_path / "here/mnist.npz")
    for precision in ("int8", "float32"):
        options = {"precision": precision, "data_dir": str(tmp_path / "here")}
        export(str(run), "tflite", **options)
    sizes = {path.stem: path.stat().st_size for path in (run / "export").glob("*.tflite")}
    assert sizes["model_int8"] < 0.3 * sizes["model_float32"]
    np.save(run / "images.npy", x_test[..., np.newaxis])
    process = commands.start_python("-I", str(READER), str(run), cwd=tmp_path)
    done = commands.finish(process, tmp_path)
    assert done.code == 0, done.stderr
    with np.load(run / "answers.npz") as answers:
        assert np.mean(answers["model_float32/classes"] == y_test) == accuracy
        assert abs(np.mean(answers["model_int8/classes"] == y_test) - accuracy) < 0.01


@pytest.mark.slow
def test_an_operation_that_tflite_lacks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(images: Any, num_classes: int, *, training: bool) -> Any:
        del training
        x = layers.dense(layers.flatten(images), num_classes, name="logits")
        return tf.math.erfinv(tf.tanh(x))

    monkeypatch.setitem(MODELS, "odd", odd)
    options = {"dataset": "shapes", "steps": 1, "batch_size": 20, "eval_examples": 10}
    with Train(model="odd", save_dir="run", log_dir="logs", **options) as train:
        train.train()
    with pytest.raises(
        CnnlabError, match=r"TensorFlow Lite cannot run this model: it has no Erfinv; choose"
    ):
        export("run", "tflite")
    assert not Path("run/export").exists()
