"""TensorFlow is imported late, quietly and without changing anything global."""

import json
from pathlib import Path

import pytest

from cnnlab.base.tf1 import reason_of, tf
from tests import commands, small_run

WITHOUT_TENSORFLOW = """
import json, sys
import cnnlab
from cnnlab import Config, Hook, Train, UsageError
from cnnlab.config import cli
names = ("cnnlab.train", *(f"cnnlab.{n}.__main__" for n in ("evaluate", "predict", "data")))
codes = []
import importlib
for name in names:
    for words in (["--help"], ["--stepss=3"]):
        try:
            importlib.import_module(name).main(words)
        except SystemExit as end:
            codes.append(end.code)
Train(batch_size=7)
heavy = ("tensorflow", "keras", "tf_keras", "tensorboard")
loaded = [name for name in heavy if name in sys.modules]
print(json.dumps({"codes": codes, "loaded": loaded}))
"""


@pytest.mark.slow
def test_help_and_mistyped_flags_do_not_import_tensorflow(tmp_path: Path) -> None:
    """Nor do `import cnnlab`, making a `Train`, or importing the modules of the commands."""
    process = commands.start_python("-c", WITHOUT_TENSORFLOW, cwd=tmp_path)
    done = commands.finish(process, tmp_path)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"codes": [0, 2] * 4, "loaded": []}
    assert list(tmp_path.iterdir()) == []


GUEST = """
import json, sys
import tensorflow as tf
layer = tf.keras.layers.Dense
keras = tf.keras  # TensorFlow returns the same object only from the second use on
before = (tf.executing_eagerly(), tf.keras.__name__, tf.keras.__version__)
from tests import small_run
with small_run.make("save", steps=3) as train:
    train.train()
    train.evaluate()
    inside = tf.executing_eagerly()
assert before == (tf.executing_eagerly(), tf.keras.__name__, tf.keras.__version__)
assert tf.keras is keras and tf.keras.layers.Dense is layer
assert len(tf.compat.v1.get_default_graph().get_operations()) == 0
assert tf.compat.v1.resource_variables_enabled() and tf.compat.v1.control_flow_v2_enabled()
x = tf.Variable(2.0)
with tf.GradientTape() as tape:
    y = tf.function(lambda: x * x)()
model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(tf.ones([4, 2]), tf.ones([4, 1]), verbose=0)
print(json.dumps([before[0], inside, float(tape.gradient(y, x)), before[2][0]]))
"""


@pytest.mark.slow
def test_training_changes_no_global_state(tmp_path: Path) -> None:
    """During and after training, eager mode stays on and `tf.keras` stays Keras 3."""
    process = commands.start_python("-c", GUEST, cwd=tmp_path)
    done = commands.finish(process, tmp_path)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [True, True, 4.0, "3"]


KERAS_LATER = """
import sys
from cnnlab.base.tf1 import tf
tf.Graph
assert "keras" not in sys.modules, "Keras is slow to load, and nothing has used it yet"
import tensorflow
from tensorflow.keras import layers
import keras
assert keras.__version__[0] == "3" == tensorflow.keras.__version__[0]
assert layers.Dense is keras.layers.Dense is tensorflow.keras.layers.Dense
assert tensorflow.optimizers.Adam is keras.optimizers.Adam
model = tensorflow.keras.Sequential([layers.Dense(1)])
model.compile("adam", "mse")
model.fit(tensorflow.ones([4, 2]), tensorflow.ones([4, 1]), verbose=0)
"""


@pytest.mark.slow
def test_keras_is_loaded_at_its_first_use(tmp_path: Path) -> None:
    process = commands.start_python("-c", KERAS_LATER, cwd=tmp_path)
    done = commands.finish(process, tmp_path)
    assert done.code == 0, done.stderr


def test_eager_mode_is_on_in_this_process_too(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", small_run.linear, steps=1) as train:
        assert tf.executing_eagerly()
        assert train.graph is not tf.get_default_graph()
        assert tf.executing_eagerly()


@pytest.mark.slow
def test_the_environment_is_set_unless_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    script = (
        "import os; from cnnlab.base.tf1 import onednn_is_on; on = onednn_is_on();"  # loads it
        "print(os.environ['TF_ENABLE_ONEDNN_OPTS'], on)"
    )
    given = commands.start_python("-c", script, cwd=tmp_path, TF_ENABLE_ONEDNN_OPTS="0")
    ours = commands.start_python("-c", script, cwd=tmp_path)
    done = commands.finish(ours, tmp_path)
    assert (done.stdout, done.stderr) == ("1 True\n", "")
    assert commands.finish(given, tmp_path).stdout == "0 False\n"


def test_a_lazy_module_is_the_module() -> None:
    import tensorflow

    assert tf.Graph is tensorflow.Graph
    with pytest.raises(AttributeError):
        _ = tf.no_such_thing


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Graph execution error:\n\nno such loop\nStack trace", "no such loop"),
        ("Graph execution error:\n\nDetected at node a:\nNode: 'a'\nno room", "no room"),
        ("From /job:worker/replica:0/task:0:\nno group", "no group"),
        ("Graph execution error:", "Graph execution error:"),
    ],
)
def test_the_reason_is_what_went_wrong(message: str, reason: str) -> None:
    assert reason_of(ValueError(message)) == reason


IN_THREADS = """
import sys, threading, traceback
together, failed = threading.Barrier(3), []

def first():
    import cnnlab
    cnnlab.tf.constant

def second():
    from cnnlab import Train, layers
    Train(dataset="shapes").graph

def third():
    import tensorflow
    from cnnlab import tf
    tf.placeholder

def run(use):
    together.wait()
    try:
        use()
    except BaseException:
        failed.append(traceback.format_exc())

threads = [threading.Thread(target=run, args=[use]) for use in (first, second, third)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit("".join(failed) or 0)
"""


@pytest.mark.slow
def test_threads_may_import_it_at_once(tmp_path: Path) -> None:
    """Before, a thread could find TensorFlow half imported: "No module named tensorflow.compat"."""
    done = commands.finish(commands.start_python("-c", IN_THREADS, cwd=tmp_path), tmp_path)
    assert done.code == 0, done.stderr
