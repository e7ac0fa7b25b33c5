"""Test-time augmentation gives the mean of single views."""

import json
from pathlib import Path

import numpy as np
import pytest

from cnnlab.base.errors import UsageError
from cnnlab.evaluate import evaluate
from cnnlab.evaluate.__main__ import main
from cnnlab.predict import predict
from cnnlab.run.inference import weighted_views
from tests import small_run


def test_views_and_their_weights() -> None:
    images = small_run.arrays()[1][0]
    assert [share for share, _ in weighted_views(images, "none")] == [1]
    mirror = weighted_views(images, "mirror")
    assert [share for share, _ in mirror] == [0.5, 0.5]
    np.testing.assert_array_equal(mirror[1][1], images[:, :, ::-1])
    views = weighted_views(images, "mirror_shift")
    assert [share for share, _ in views] == [0.25, 0.25, 0.125, 0.125, 0.125, 0.125]
    np.testing.assert_array_equal(views[2][1][:, 1:, 1:], images[:, :-1, :-1])  # down and right
    np.testing.assert_array_equal(views[2][1][:, 0, 1:], images[:, 1, :-1])  # mirrored edge
    np.testing.assert_array_equal(views[4][1][:, :-1, :-1], images[:, 1:, 1:])  # up and left
    np.testing.assert_array_equal(views[3][1], views[2][1][:, :, ::-1])


@pytest.mark.slow
def test_logits_are_averaged(tmp_path: Path) -> None:
    images, labels = small_run.arrays()[1]
    with small_run.make(tmp_path, steps=3) as train:
        train.train()

        def logits(batch: np.ndarray) -> np.ndarray:
            return train.session.run(train.logits, {train.images_ph: batch})

        for tta in ("mirror", "mirror_shift"):
            mean = sum(share * logits(view) for share, view in weighted_views(images, tta))
            figures = train.evaluate("test", tta=tta)
            log_sum = np.log(np.exp(mean).sum(axis=1))
            losses = log_sum - mean[np.arange(len(labels)), labels]
            np.testing.assert_allclose(figures["loss"], losses.mean(), rtol=1e-5)
            assert figures["accuracy"] == (mean.argmax(axis=1) == labels).mean()
        assert train.evaluate("test")["loss"] != figures["loss"]


def test_an_unknown_augmentation() -> None:
    with pytest.raises(UsageError, match="unknown tta flip; it is one of none, mirror, mirror_sh"):
        weighted_views(small_run.arrays()[1][0], "flip")


@pytest.mark.slow
def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The data set shapes needs no files."""
    from PIL import Image

    from cnnlab import Train

    options = {"dataset": "shapes", "model": "mnist_perceptron", "batch_size": 50, "steps": 2}
    with Train(**options, save_dir=str(tmp_path), log_dir=str(tmp_path / "l"), tta="mirror") as t:
        result = t.train()
        image = t.data.split("test").images[0]
    assert evaluate(str(tmp_path))["loss"] == result["loss"]
    plain = evaluate(str(tmp_path), tta="none")
    assert plain["loss"] != result["loss"]
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([f"--save_dir={tmp_path}", "--tta=none", "--json"])
    assert json.loads(capsys.readouterr().out)["loss"] == plain["loss"]
    Image.fromarray(image).save(tmp_path / "one.png")
    Image.fromarray(image[:, ::-1].copy()).save(tmp_path / "two.png")
    files = [str(tmp_path / "one.png"), str(tmp_path / "two.png")]
    one, two = predict(files, str(tmp_path))
    # A mirrored image has the same two views.
    assert abs(one["probability"] - two["probability"]) < 1e-5
    one, two = predict(files, str(tmp_path), tta="none")
    assert abs(one["probability"] - two["probability"]) > 1e-5
