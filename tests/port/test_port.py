"""`cnnlab port`: reports on programs of TensorFlow 1, and first scripts that train."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Train
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.old_names import replacement_of
from cnnlab.port import port
from cnnlab.port.__main__ import main
from tests import commands
from tests.port.programs import PROGRAMS

# Batch size, steps or epochs, optimizer and data set of each program, read off by hand.
EXPECTED: dict[str, dict[str, Any]] = {
    "softmax": {"batch_size": 100, "steps": 1000, "optimizer": "sgd", "learning_rate": 0.01},
    "scopes": {"batch_size": 50, "steps": 2200, "optimizer": "momentum", "momentum": 0.9},
    "layers": {"batch_size": 64, "steps": 2814, "optimizer": "adam", "epsilon": 1e-4, "seed": 42},
    "flags_and_main": {"batch_size": 50, "steps": 300, "learning_rate": 1e-4},
    "class": {"batch_size": 100, "steps": 1100, "optimizer": "rmsprop", "rho": 0.95},
    "estimator": {"batch_size": 100, "steps": 2000, "optimizer": "sgd", "learning_rate": 0.001},
    "iterator": {"batch_size": 32, "epochs": 4, "learning_rate": 0.5, "dataset": "fashion_mnist"},
    "slim": {"batch_size": 64, "steps": 999, "optimizer": "adam", "learning_rate": 0.001},
    "fed_rate": {"batch_size": 100, "steps": 10001, "optimizer": "adam"},
    "rate_by_epoch": {"batch_size": 100, "steps": 10001, "optimizer": "adam"},
    "old_names": {"batch_size": 20, "steps": 500, "optimizer": "adagrad", "learning_rate": 0.1},
}


def ported(name: str, folder: Path) -> dict[str, Any]:
    """Port a program of the tests, and return what its script defines."""
    (folder / "old.py").write_text(PROGRAMS[name])
    answer = port(folder / "old.py", out=folder / "new.py")
    assert answer["missing"] is None
    return runpy.run_path(str(folder / "new.py"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_options_are_those_of_the_program(name: str, tmp_path: Path) -> None:
    options = ported(name, tmp_path)["OPTIONS"]
    expected = {"dataset": "fashion_mnist" if name == "scopes" else "mnist", **EXPECTED[name]}
    assert {option: options[option] for option in expected} == expected
    assert ("steps" in options) != ("epochs" in options)


@pytest.mark.parametrize(
    ("update", "missing"),
    [
        (
            "pairs = opt.compute_gradients(cross_entropy)\n"
            "pairs = [(tf.clip_by_value(g, -1., 1.), v) for g, v in pairs]\n"
            "train_step = opt.apply_gradients(pairs)",
            "applies gradients that are changed",
        ),
        (
            "average = tf.train.ExponentialMovingAverage(0.99)\n"
            "step = opt.minimize(cross_entropy)\n"
            "with tf.control_dependencies([step]):\n"
            "    train_step = average.apply(tf.trainable_variables())",
            "without ExponentialMovingAverage",
        ),
        ("train_step = opt.minimize(cross_entropy, var_list=[W])", "an option for var_list="),
        ("train_step = opt.apply_gradients(opt.compute_gradients(cross_entropy))", None),
    ],
)
def test_no_script_leaves_out_what_the_update_does(
    update: str, missing: str | None, tmp_path: Path
) -> None:
    program, old = (
        PROGRAMS["softmax"],
        "train_step = tf.train.GradientDescentOptimizer(0.01).minimize(cross_entropy)",
    )
    assert old in program
    new = f"opt = tf.train.GradientDescentOptimizer(0.01)\n{update}"
    (tmp_path / "old.py").write_text(program.replace(old, new))
    answer = port(tmp_path / "old.py", out=tmp_path / "new.py")
    assert (missing or "") in (answer["missing"] or "")
    assert (tmp_path / "new.py").exists() == (missing is None)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_scripts_train(name: str, tmp_path: Path) -> None:
    options = ported(name, tmp_path)["OPTIONS"]
    for option in ("dataset", "epochs", "validation_split"):
        options.pop(option, None)
    rng = np.random.default_rng(1)
    data = [(rng.integers(0, 256, (n, 28, 28, 1), np.uint8), np.arange(n) % 10) for n in (120, 60)]
    options.update(data=tuple(data), steps=3, save_dir=str(tmp_path / "run"), quiet=True)
    with Train(**options) as train:
        result = train.train()
    assert result["step"] == 3
    assert np.isfinite(result["loss"])


def test_nothing_is_executed_and_tensorflow_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text(PROGRAMS["softmax"] + "\nopen('executed', 'w')\n")
    text = "import sys; from cnnlab.port.__main__ import main\n"
    text += "try:\n    main(['old.py', '--json'])\nfinally:\n"
    text += "    assert 'tensorflow' not in sys.modules\n"
    process = commands.start_python("-c", text, cwd=tmp_path)
    done = commands.finish(process, tmp_path)
    assert done.code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["tensorflow"] == 1
    assert "def model(images, num_classes, *, training)" in answer["script"]
    assert not (tmp_path / "executed").exists()


def test_notes_name_lines(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text(PROGRAMS["scopes"])
    notes = port(tmp_path / "old.py")["notes"]
    lines = PROGRAMS["scopes"].splitlines()
    by_name = {note["what"]: note for note in notes}
    for name in ("tf.placeholder", "tf.nn.dropout", "tf.get_variable", "tf.Session"):
        assert name in lines[by_name[name]["line"] - 1]
    assert "resumed run differs" in by_name["tf.nn.dropout"]["why"]
    assert [note["line"] for note in notes] == sorted(note["line"] for note in notes)


def test_what_replaced_names_that_are_gone(tmp_path: Path) -> None:
    """`cnnlab run-tf1` says the same of them, from the same tables."""
    text = "import tensorflow as tf\nx = tf.placeholder(tf.float32)\ny = tf.mul(x, x)\n"
    (tmp_path / "old.py").write_text(text + "tf.contrib.crf.crf_decode(y)\ntf.contrib.lite.go\n")
    notes = {note["line"]: note["to"] for note in port(tmp_path / "old.py")["notes"]}
    assert notes[3] == "tf.multiply"
    assert notes[4] == replacement_of("tf.contrib.crf") != replacement_of("tf.contrib.other")
    assert "--format=tflite" in notes[5]


def test_comments_stay_above_their_statements(tmp_path: Path) -> None:
    text = PROGRAMS["softmax"].replace("W = tf", "#!x\n# The weights,\n# all zero.\nW = tf")
    text = text.replace("sess.run(tf.init", "# Start.\nsess.run(tf.init")
    (tmp_path / "old.py").write_text("def f():\n    # Inside.\n    return 1\n" + text)
    script = port(tmp_path / "old.py")["script"]
    assert "    # The weights,\n    # all zero.\n    W = tf.Variable(" in script
    assert script.count("#") == 2  # of what the script does not need, none


def test_a_pipeline_a_flag_by_position_and_a_hook(tmp_path: Path) -> None:
    """The worked port of the guide: what its map does is named, and True becomes training."""
    answer = port(commands.ROOT / "docs/guide/ports/monitored_old.py", out=tmp_path / "new.py")
    assert answer["script"].count("net(images, is_training=training)") == 1
    assert "255" not in answer["script"].partition("OPTIONS")[0]  # the pixels are 0 to 1
    options = runpy.run_path(str(tmp_path / "new.py"))["OPTIONS"]
    assert (options["steps"], options["batch_size"]) == (1500, 128)
    assert "augment() of Dataset.map does is left out" in str(answer["assumed"])


def test_variables_of_own_functions_and_a_function_named_model(tmp_path: Path) -> None:
    text = PROGRAMS["softmax"].replace(
        "W = tf.Variable(tf.zeros([784, 10]))", "W = zeros([784, 10])"
    )
    text = text.replace("tf.nn.softmax(tf.matmul(x, W) + b)", "tf.nn.softmax(model(x, W) + b)")
    own = "def zeros(shape):\n    return tf.Variable(tf.zeros(shape))\n\n"
    own += "def model(x, W):\n    return tf.matmul(x, W)\n\n"
    (tmp_path / "old.py").write_text(text.replace("mnist = ", own + "mnist = ", 1))
    port(tmp_path / "old.py", out=tmp_path / "new.py")
    script = runpy.run_path(str(tmp_path / "new.py"))
    assert "W" not in script  # it is made inside, for training and for inference
    assert script["OPTIONS"]["model"] is script["network"]


def test_vectors_of_an_unknown_pipeline(tmp_path: Path) -> None:
    """Where the program reads files of its own, its first layer says what it makes of them."""
    text = PROGRAMS["softmax"].replace(
        "x = tf.placeholder(tf.float32, [None, 784])",
        "data = tf.data.Dataset.from_tensor_slices(read_mnist()).batch(100)\n"
        "x, y_ = data.make_one_shot_iterator().get_next()",
    )
    text = text.replace("y_ = tf.placeholder(tf.float32, [None, 10])\n", "")
    (tmp_path / "old.py").write_text(text.replace(", feed_dict={x: batch_xs, y_: batch_ys}", ""))
    assert "tf.reshape(images, [-1, 784])" in port(tmp_path / "old.py")["script"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("slim", "line 39 trains with tf.contrib.slim.learning.create_train_op"), ("keras", "fit")],
)
def test_other_ways_to_train_are_named(name: str, reason: str) -> None:
    missing = port(commands.ROOT / f"docs/guide/ports/{name}_old.py")["missing"]
    assert missing.startswith("an optimizer's minimize(loss); ")
    assert reason in missing


def test_penalties_and_sums_keep_their_factors(tmp_path: Path) -> None:
    assert ported("softmax", tmp_path)["loss"].__code__.co_consts[1] == 100  # a sum of 100 images


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("import tensorflow as tf\nx = tf.placeholder(tf.float32)\n", "minimize"),
        ("import numpy\n", "TensorFlow: the program does not use it"),
        ("import tensorflow as tf\nwith tf.GradientTape() as t:\n    pass\n", "TensorFlow 2"),
        (PROGRAMS["softmax"].replace("y_ * tf.log(y)", "x * tf.log(y)"), "labels: the loss comp"),
        (PROGRAMS["softmax"].replace("784", "100"), "images of mnist as they are"),
        (PROGRAMS["softmax"].replace("tf.matmul(x, W)", "odd(x, W)"), "names are, which the netw"),
        (PROGRAMS["softmax"].replace("range(1000)", "odd()"), None),
    ],
)
def test_what_is_missing(text: str, missing: str | None, tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text(text)
    answer = port(tmp_path / "old.py", out=tmp_path / "new.py")
    if missing is None:
        assert "taken for one pass" in answer["assumed"][-1]["text"]
        return
    assert missing in answer["missing"]
    assert not (tmp_path / "new.py").exists()


def test_own_modules_are_read(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(
        "import tensorflow as tf\n\n\ndef layer(x, n):\n    return tf.layers.dense(x, n)\n"
    )
    text = PROGRAMS["softmax"].replace("tf.matmul(x, W) + b", "nets.layer(x, 10)")
    (tmp_path / "old.py").write_text("import nets\n" + text)
    script = port(tmp_path / "old.py")["script"]
    assert "def layer(x, n)" in script
    assert "return layer(x, 10)" in script


def test_python_2_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text("import tensorflow as tf\nprint 'hello'\n")
    with pytest.raises(CnnlabError, match=r"old.py:2: Missing parentheses.*this is Python 2"):
        port(tmp_path / "old.py")


def test_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text(PROGRAMS["softmax"])
    (tmp_path / "new.py").write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        port(tmp_path / "old.py", out=tmp_path / "new.py")
    with pytest.raises(UsageError, match="is the program itself"):
        port(tmp_path / "old.py", out=tmp_path / "old.py", overwrite=True)


def test_the_command_without_a_script_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.py").write_text("import tensorflow as tf\ntf.Session()\n")
    with pytest.raises(SystemExit) as done:
        main([str(tmp_path / "old.py"), f"--out={tmp_path / 'new.py'}"])
    assert done.value.code == 1
    assert "no script: missing is" in commands.assert_one_error_line(capsys.readouterr().err)
