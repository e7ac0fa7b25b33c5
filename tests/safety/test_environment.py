"""The real commands in unusual environments."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

TRAIN = (
    *(sys.executable, "-m", "cnnlab.train", "--dataset=shapes", "--model=mnist_perceptron"),
    *("--batch_size=50", "--steps=20", "--eval_steps=10", "--eval_examples=50"),
)
REPO = str(Path(__file__).parent.parent.parent)


def run(
    *words: str, folder: Path, timeout: int = 120, **kwargs: Any
) -> subprocess.CompletedProcess[str]:
    kwargs.setdefault("env", {**os.environ, "PYTHONPATH": REPO})
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False, **kwargs
    )


def shell(command: str, folder: Path, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    quoted = " ".join(TRAIN)
    return run("bash", "-c", command.replace("TRAIN", quoted), folder=folder, **kwargs)


def assert_finished(folder: Path, found: subprocess.CompletedProcess[str]) -> None:
    assert found.returncode == 0, found.stderr
    assert "Traceback" not in found.stderr
    assert json.loads((folder / "save" / "result.json").read_text())["finished"] is True


CONSOLE = "from cnnlab.config.commands import main; main()"


@pytest.mark.parametrize(
    ("command", "code", "line"),
    [
        (
            "python -c 'CONSOLE' --help >/dev/full",
            1,
            "error: cannot write to stdout: No space ",
        ),
        ("python -c 'CONSOLE' --version >/dev/full", 1, "error: cannot write to stdout: No space "),
        ("python -c 'CONSOLE' models >/dev/full", 1, "error: [Errno 28] No space left on device"),
        (
            "python -m cnnlab.train --help >/dev/full",
            1,
            "error: [Errno 28] No space left on device",
        ),
        ("python -OO -c 'CONSOLE' models >/dev/null", 0, "note: python -OO removes the descripti"),
        ("python -OO TRAIN", 1, "error: python -OO removes docstrings, without which TensorFlow's"),
    ],
)
@pytest.mark.slow
def test_full_devices_and_no_docstrings(command: str, code: int, line: str, tmp_path: Path) -> None:
    train = " ".join(TRAIN[1:])
    command = command.replace("CONSOLE", CONSOLE).replace("TRAIN", train)
    found = run("bash", "-c", command.replace("python", sys.executable, 1), folder=tmp_path)
    assert found.stderr.startswith(line)
    assert len(found.stderr.splitlines()) == 1
    assert found.returncode == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "env -u HOME TRAIN",
        "HOME=/proc TRAIN",
        "LC_ALL=C TRAIN",
        "LC_ALL=tr_TR.UTF-8 TRAIN",
        "PYTHONIOENCODING=ascii TRAIN",
        "taskset -c 0 TRAIN",
        "TRAIN <&-",
        "TRAIN >&-",
        "TRAIN 2>&-",
        "TRAIN <&- >&- 2>&-",
        "TMPDIR=/nowhere TRAIN",
        "ulimit -n 64; TRAIN",
        "setsid TRAIN",
        "unshare -n TRAIN",
        "unshare -m bash -c 'mount -t tmpfs -o size=64k tmpfs /dev/shm && TRAIN'",
    ],
)
def test_unusual_environments(command: str, tmp_path: Path) -> None:
    assert_finished(tmp_path, shell(command, tmp_path))


@pytest.mark.slow
def test_a_path_with_spaces_and_other_letters(tmp_path: Path) -> None:
    folder = tmp_path / "mein Ordner ü 学习 '\" $x"
    folder.mkdir()
    assert_finished(folder, run(*TRAIN, folder=folder))
    found = run(*TRAIN, "--save_dir=noch einer/ß", "--log_dir=l ö g", folder=folder)
    assert found.returncode == 0, found.stderr
    words = (sys.executable, "-m", "cnnlab.evaluate", "--save_dir=noch einer/ß", "--json")
    assert json.loads(run(*words, folder=folder).stdout)["n"] == 1000


@pytest.mark.slow
def test_a_missing_network_is_reported_quickly(tmp_path: Path) -> None:
    started = time.monotonic()
    found = shell("npm_config_cache=$PWD/npm unshare -n TRAIN --dataset=cifar10", tmp_path)
    assert found.returncode == 1
    assert found.stderr.splitlines()[-1].startswith("error: no source of cifar10")
    assert time.monotonic() - started < 60


@pytest.mark.slow
def test_output_into_head(tmp_path: Path) -> None:
    found = shell("set -o pipefail; TRAIN --help | head -1", tmp_path)
    assert "Traceback" not in found.stderr
    assert "Exception ignored" not in found.stderr
    found = shell("TRAIN 2>&1 | head -1; echo ${PIPESTATUS[0]}", tmp_path)
    assert "Traceback" not in found.stdout
    assert found.stdout.splitlines()[-1] == "141"
    assert_finished(tmp_path, shell("TRAIN", tmp_path))


@pytest.mark.slow
def test_little_memory_is_one_line(tmp_path: Path) -> None:
    found = shell("ulimit -v 600000; TRAIN", tmp_path)
    assert found.returncode not in (0, None)
    assert "Traceback" not in found.stderr


@pytest.mark.slow
def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    found = shell("CUDA_VISIBLE_DEVICES= TRAIN --device=gpu", tmp_path)
    assert found.returncode == 1
    assert "TensorFlow sees 0 GPUs" in found.stderr
    assert not (tmp_path / "save").exists()


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = run("mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk), folder=tmp_path)
    if mounted.returncode:
        pytest.skip("needs root to mount a small disk")
    try:
        words = ("--save_dir=disk/s", "--log_dir=logs", "--steps=500", "--checkpoint_steps=50")
        found = run(*TRAIN, *words, "--max_to_keep=none", folder=tmp_path)
        assert found.returncode == 1, found.stderr
        errors = [line for line in found.stderr.splitlines() if line.startswith("error")]
        assert len(errors) == 1
        assert "No space left" in errors[0]
        assert "Traceback" not in found.stderr
        words = (sys.executable, "-m", "cnnlab.evaluate", "--save_dir=disk/s")
        assert run(*words, folder=tmp_path).returncode == 0
    finally:
        run("umount", str(disk), folder=tmp_path)


@pytest.mark.slow
def test_permission_lost_during_a_run(tmp_path: Path) -> None:
    # Root can write everywhere, unless this capability is removed.
    bound = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()
    save_dir = tmp_path / "save"
    words = (*bound, *TRAIN, "--steps=100000000", "--eval_steps=100000000")
    env = {**os.environ, "PYTHONPATH": REPO}
    with subprocess.Popen(
        (*words, "--checkpoint_steps=2000"),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    ) as process:
        deadline = time.monotonic() + 120
        while not (save_dir / "checkpoint").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        save_dir.chmod(0o555)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert "Permission denied" in err.splitlines()[-1]
    save_dir.chmod(0o755)
    evaluate = (sys.executable, "-m", "cnnlab.evaluate", "--save_dir=save")
    assert run(*evaluate, folder=tmp_path).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("is_training", [False, True])
def test_signals_at_any_time(number: int, code: int, is_training: bool, tmp_path: Path) -> None:
    words = (*TRAIN, "--steps=100000000", "--eval_steps=100000")
    env = {**os.environ, "PYTHONPATH": REPO}
    with subprocess.Popen(
        words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        time.sleep(3)  # TensorFlow is being loaded
        while is_training and not (tmp_path / "save" / "metrics.jsonl").exists():
            time.sleep(0.1)
        time.sleep(5 if is_training else 0)
        sent = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert time.monotonic() - sent < 10
    assert "Traceback" not in err
    if is_training:
        assert json.loads((tmp_path / "save" / "result.json").read_text())["finished"] is False


@pytest.mark.slow
def test_two_processes(tmp_path: Path) -> None:
    words = (*TRAIN, "--steps=100000000")
    env = {**os.environ, "PYTHONPATH": REPO}
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL, env=env) as process:
        while not (tmp_path / "save" / "config.yaml").exists():
            time.sleep(0.1)
        found = run(*words, folder=tmp_path)
        assert found.returncode in (1, 2)
        assert f"process {process.pid} " in found.stderr
        process.kill()
    assert run(*TRAIN, "--overwrite", folder=tmp_path).returncode == 0
