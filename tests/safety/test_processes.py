"""Threads that import at the same time, and processes that are forked."""

from pathlib import Path

import pytest

from tests.commands import finish, start_python

IMPORTS = """
import importlib, threading

problems = []


def use(name):
    try:
        importlib.import_module(name)
        from cnnlab import tf
        assert tf.float32 is not None and tf.layers is not None
    except BaseException as error:
        problems.append(repr(error))


names = ["train", "layers", "evaluate", "export", "report", "models.resnet", "data.batches"]
threads = [threading.Thread(target=use, args=(f"cnnlab.{name}",)) for name in names]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not problems, problems
"""

FORK = """
import os, signal, sys
from pathlib import Path
from tests import small_run

runs = [small_run.make(Path(sys.argv[1]) / name, small_run.linear) for name in ("old", "new")]
images = small_run.arrays()[1][0]
runs[0].train(steps=1)
uses = {
    "predict": lambda: runs[0].predict(images),
    "train": lambda: runs[0].train(steps=2),
    "run": lambda: runs[0].session.run(runs[0].logits),
    "a new one": lambda: runs[1].train(),
}
for name, use in uses.items():
    if os.fork() == 0:
        signal.alarm(60)
        try:
            use()
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
        os._exit(0)
    _, status = os.wait()
    assert status == 0, (name, status)
"""


@pytest.mark.slow
def test_threads_may_import_at_the_same_time(tmp_path: Path) -> None:
    found = finish(start_python("-c", IMPORTS, cwd=tmp_path), tmp_path)
    assert found.code == 0, found.stderr


@pytest.mark.slow
def test_a_fork_after_a_session_is_one_line(tmp_path: Path) -> None:
    found = finish(start_python("-c", FORK, str(tmp_path), cwd=tmp_path), tmp_path)
    assert found.code == 0, found.stderr
    lines = found.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["predict", "train", "run", "a new one"]
    assert all(": CnnlabError: this process was forked" in line for line in lines)
