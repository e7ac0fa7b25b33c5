"""Programs that cannot run as they are: one line each that says what to do."""

from pathlib import Path

import pytest

from cnnlab.run_tf1.old_source import module_complaint
from tests.commands import assert_one_error_line, finish, start
from tests.run_tf1.old_programs import run


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('import tensorflow\nprint "x", 1\n', "old.py:2: a print statement is Python 2: print"),
        ("try:\n    pass\nexcept OSError, e:\n    pass\n", "old.py:3: except NAME, VARIABLE is"),
        ("x = 0777\n", "old.py:1: a number as 0777 or 10L is Python 2"),
        ("x = (\n", "old.py:1: '(' was never closed"),
        ("if 1:\n\tx = 1\n        y = 2\n", "old.py:3: tabs and spaces are mixed"),
    ],
)
def test_syntax_of_python_2(text: str, message: str) -> None:
    done = run(text)
    assert done.code == 2
    assert message in assert_one_error_line(done.stderr)


def test_modules_that_are_not_found(tmp_path: Path) -> None:
    (tmp_path / "near_the_data.py").write_text("")

    def said(name: str) -> str:
        return module_complaint(ModuleNotFoundError("", name=name), str(tmp_path / "data.py"))

    assert said("cv2") == (
        "the program needs the package opencv-python-headless: pip install opencv-python-headless"
    )
    assert said("data_aug.x").startswith("data_aug is neither installed nor beside the program")
    assert said("near_the_data").endswith("data.py: from . import near_the_data")
    assert said("tf.contrib").startswith("only the program calls it tf")
    assert "Python 2" in said("cPickle")
    assert said("json") == said("numpy") == ""


@pytest.mark.slow
def test_no_program(tmp_path: Path) -> None:
    done = finish(start("cnnlab.run_tf1", cwd=tmp_path), tmp_path)
    assert done.code == 2
    assert "name a program" in assert_one_error_line(done.stderr)
    done = finish(start("cnnlab.run_tf1", "nothing.py", cwd=tmp_path), tmp_path)
    assert (done.code, "there is no such program" in done.stderr) == (2, True)
    Path("a.ipynb").write_text("{}")
    done = finish(start("cnnlab.run_tf1", "a.ipynb", cwd=tmp_path), tmp_path)
    assert "jupyter nbconvert --to script a.ipynb" in assert_one_error_line(done.stderr)
    done = finish(start("cnnlab.run_tf1", "--data-dirr=x", "a.py", cwd=tmp_path), tmp_path)
    assert "did you mean --data_dir?" in assert_one_error_line(done.stderr)


def test_a_program_of_tensorflow_2_runs_as_it_is() -> None:
    done = run(
        """
        import sys
        if False:
            import tensorflow as tf
            f = tf.function(print)
        print(__name__, sys.argv[1:], "tensorflow" in sys.modules)
        sys.exit(7)
        """,
        "--data_dir=x",
        "word",
    )
    assert done.code == 7
    assert done.stdout == "__main__ ['--data_dir=x', 'word'] False\n"
    assert done.stderr == "note: old.py is a program of TensorFlow 2: Python runs it as it is\n"


@pytest.mark.slow
def test_what_nothing_stands_in_for() -> None:
    """The line names the symbol, the program's line and what replaced it; `except` still works."""
    done = run(
        """
        import tensorflow as tf
        try:
            from tensorflow.contrib.tpu.python.tpu import tpu_config
        except ImportError:
            print("no TPU")
        print(hasattr(tf.contrib, "crf"), tf.__version__)
        def net():
            return tf.estimator.Estimator(model_fn=None)
        net()
        """
    )
    assert done.code == 1
    assert done.stdout == "no TPU\nFalse 1.15.5\n"
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith(
        "error: old.py:9: tf.estimator is not in today's TensorFlow, and nothing"
    )
    assert "cnnlab train" in line
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_errors_of_the_program_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("print 1\n")
    done = run("import tensorflow as tf\ndef f():\n    return tf.constant(1) + 'a'\nf()\n")
    assert done.code == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith('old.py", line 4, in <module>')
    assert "cnnlab/" not in done.stderr
    done = run("import tensorflow as tf\nimport helper\n")
    assert done.code == 2
    assert "helper.py:1: a print statement is Python 2" in assert_one_error_line(done.stderr)
    done = run("import tensorflow as tf\nimport cPickle\n")
    assert "cPickle is a module of Python 2" in assert_one_error_line(done.stderr)
    done = run("import tensorflow as tf\ndef f():\n    open('data/no.csv')\nf()\n")
    assert assert_one_error_line(done.stderr) == (
        "old.py:3: data/no.csv: there is no such file or folder, and the program needs it"
    )
    done = run("import tensorflow as tf\nlist(tf.python_io.tf_record_iterator('no.tfrecords'))\n")
    assert "old.py:2: a file that the program needs" in assert_one_error_line(done.stderr)
    done = run("import tensorflow as tf, sys\nsys.exit('bye')\n")
    assert (done.code, done.stderr) == (1, "bye\n")


@pytest.mark.slow
def test_data_that_is_not_there(tmp_path: Path) -> None:
    done = run(
        """
        from tensorflow.examples.tutorials.mnist import input_data
        input_data.read_data_sets("MNIST_data")
        """,
        PATH="/nowhere",
        https_proxy="http://127.0.0.1:9",
        http_proxy="http://127.0.0.1:9",
    )
    assert done.code == 1
    message = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert message.startswith("error: old.py:3: ")
    assert "cnnlab data fetch --dataset=mnist" in message
