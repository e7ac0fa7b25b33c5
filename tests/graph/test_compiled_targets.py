"""Compiled steps take every kind of labels, and float images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import dataset_from_arrays
from cnnlab.graph import compiled_steps as compiled
from tests import small_run
from tests.graph.test_compiled_steps import OPTIONS, arrays, has_chunks


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        (np.arange(80).reshape(40, 2) // 3 % 2, {"loss": "sigmoid"}),
        (np.arange(80).reshape(40, 2) / 80, {"loss": "mse"}),
        (np.arange(40) % 2, {"scaling": "normalize"}),
        (np.arange(80).reshape(40, 2) // 3 % 3, {"head_weights": {"head_1": 0.5}}),
    ],
    ids=["labels", "values", "floats", "heads"],
)
@pytest.mark.slow
def test_they_make_the_steps_of_the_plain_loop(
    labels: Any, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "MOST_STEPS", 3)
    monkeypatch.setattr(compiled, "LEAST_STEPS", 1)
    monkeypatch.setattr(compiled, "compiles_product", lambda *_: True)
    images = arrays()[0][0]
    given: dict[str, Any] = {}
    if "scaling" in options:
        images, given = images / 255, {"image_range": (0, 1)}
    if "head_weights" in options:
        given = {"targets": "heads"}
    data = dataset_from_arrays((images, labels), (images[:9], labels[:9]), **given)
    ends = []
    for xla in ("auto", False):
        folder = tmp_path / str(xla)
        made = {**OPTIONS, **options, "xla": xla, "learning_rate": 0.001}
        with small_run.make(folder, small_run.linear, data, **made) as train:
            assert has_chunks(train) == (xla == "auto")
            train.train()
            feed = {train.images_ph: data.test.images, train.labels_ph: data.test.labels}
            train.session.run(train.train_op, feed)
            ends.append(small_run.variables(train))
    for name, value in ends[1].items():
        np.testing.assert_allclose(ends[0][name], value, rtol=1e-4, atol=1e-4, err_msg=name)
