"""Variables that start from training images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from cnnlab import layers
from cnnlab.layers.data_start import frozen_variable
from tests import small_run

IMAGES = 10


def centred(images: Any, num_classes: int, *, training: bool) -> Any:
    """Build a dense layer on the images minus the mean of the first ten training images."""
    del training
    shape = images.shape[1:].as_list()
    mean = frozen_variable("mean", shape, images, lambda inputs: inputs.mean(axis=0), IMAGES)
    return layers.dense(layers.flatten(images - mean), num_classes, name="logits")


def forget_fingerprints(path: Path) -> None:
    """Make the run accept other data."""
    document = yaml.safe_load(path.read_text())
    del document["fingerprints"]
    path.write_text(yaml.safe_dump(document))


@pytest.mark.slow
def test_it_is_computed_once_and_kept(tmp_path: Path) -> None:
    """It uses the network's inputs, stays the same after a resume, and has no average."""
    (images, labels), test = small_run.arrays()
    options = {"lookahead_steps": 2, "augment": ["flip"]}
    with small_run.make(tmp_path / "whole", centred, steps=6, **options) as train:
        train.train()
        whole, result = small_run.variables(train), train.evaluate()
    expected = images[:IMAGES].astype(np.float64).mean(axis=0) / 255
    np.testing.assert_allclose(whole["mean"], expected, atol=1e-6)
    assert "lookahead/logits/kernel" in whole
    assert "lookahead/mean" not in whole
    with small_run.make(tmp_path / "parts", centred, steps=3, **options) as train:
        train.train()
    # A restored variable is not computed again, even if the training images are different.
    forget_fingerprints(tmp_path / "parts" / "config.yaml")
    other = ((images[::-1].copy(), labels[::-1].copy()), test)
    with small_run.make(tmp_path / "parts", centred, data=other, **options) as train:
        train.restore()
        np.testing.assert_array_equal(small_run.variables(train)["mean"], whole["mean"])
    with small_run.make(tmp_path / "parts", centred, steps=6, **options) as train:
        train.train()
        small_run.assert_same_bits(small_run.variables(train), whole)
        assert train.evaluate() == result
