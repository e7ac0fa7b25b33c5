"""The whole graph, saved by the user's own call of `train.saver.save`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnnlab.base.tf1 import tf
from cnnlab.run.disk.saver import make_saver, saved_tensors
from tests import small_run

# What docs/guide/export.md shows.
OTHER_PROGRAM = """
import sys
import numpy as np
from cnnlab import tf

given = np.load("given.npz")
with tf.Graph().as_default() as graph, tf.Session() as session:
    saver = tf.train.import_meta_graph("mine.meta")
    saver.restore(session, "mine")
    probabilities = session.run("probabilities:0", {"input/images_ph:0": given["test"]})
    resident = "data/resident_data/images_ph:0", "data/resident_data/labels_ph:0"
    feeds = dict(zip(resident, (given["images"], given["labels"])))
    session.run(tf.local_variables_initializer(), feeds)
    session.run("training/steps", {"training/steps_ph:0": 4})
    variables = {v.op.name: v for v in tf.global_variables()}
    np.savez("found.npz", probabilities=probabilities, **session.run(variables))
"""


@pytest.mark.slow
def test_another_program_imports_the_graph_and_trains_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with small_run.make("run") as train:
        train.saver.save(train.session, "mine")
        (images, labels), (test, _) = small_run.arrays()
        probabilities = train.predict(test)
        train.session.run(train.train_op, {train.steps_ph: 4})
        expected = small_run.variables(train)
    np.savez("given.npz", images=images, labels=labels, test=test)
    done = subprocess.run([sys.executable, "-c", OTHER_PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load("found.npz") as found:
        np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-6)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-7, err_msg=name)


def test_saved_tensors_are_those_of_the_variables() -> None:
    with tf.Graph().as_default() as graph:
        tf.get_variable("a", [2])
        tf.get_variable("b", [3])
        assert [t.shape for t in saved_tensors(make_saver(graph), graph)] == [[2], [3]]
