"""scripts/gpu_check.py: all checks are made, whatever happens in one, and it says what failed."""

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnnlab.base.errors import CnnlabError
from scripts import gpu_check
from scripts.bench import on_device
from tests.commands import ROOT, start_python

SETTINGS = on_device.Settings("cpu", ".", 0.1, 8)
LATER = time.monotonic() + 1000
# Does what its checks are named: passes, fails, dies or hangs.
FAKE = """
import json, os, sys, time
for name in json.loads(sys.argv[1])["checks"]:
    if name == "dies":
        print("it is broken", file=sys.stderr)
        os._exit(3)
    if name == "hangs":
        time.sleep(60)
    figures = {"images_per_sec": 1234.5} if name.startswith("t") else {"tf32": os.environ.get("T")}
    state = "failed" if name == "device" else name.split()[0]
    row = {"check": name, "state": state, "message": "", "secs": 1.0, "figures": figures}
    print(json.dumps(row), flush=True)
"""


@pytest.fixture(autouse=True)
def fake_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fake.py").write_text(FAKE)
    monkeypatch.setattr(gpu_check, "WORKER", tmp_path / "fake.py")


KINDS = (("train", " plain"), ("torch", ""), ("train", " xla"))


def test_every_network_is_trained_in_every_way() -> None:
    """What is correct comes first; what XLA gains comes last, if time is left."""
    checks = [check for group in gpu_check.groups(("a", "b"), ("p",)) for check in group.checks]
    assert checks[:5] == ["device", "placement a", "placement b", "losses a", "losses b"]
    speeds = [f"{kind} {m} p{xla}" for kind, xla in KINDS for m in ("a", "b")]
    assert checks[-6:] == speeds
    assert {check.split()[0] for check in checks} == set(on_device.CHECKS)
    assert set(gpu_check.MODELS) <= set(on_device.WORKLOADS)


def test_a_check_that_dies_or_hangs_does_not_stop_the_others() -> None:
    group = gpu_check.Group(["passed 1", "dies", "hangs", "passed 2"], {"T": "0"})
    rows: list[Any] = []
    gpu_check.run_group(rows, group, {}, LATER, longest_secs=1.5)
    assert [(row["check"], row["state"]) for row in rows] == [
        *(("passed 1", "passed"), ("dies", "failed"), ("hangs", "failed"), ("passed 2", "passed"))
    ]
    assert rows[0]["figures"] == {"tf32": "0"}
    assert rows[1]["message"] == "the process ended with code 3: it is broken"
    assert rows[2]["message"] == "not finished after 2 s"


def test_checks_for_which_no_time_is_left_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that has begun is stopped at the end, and has not failed."""
    monkeypatch.setattr(gpu_check, "LEAST_SECS", 0.3)
    late = time.monotonic() + 1
    rows: list[Any] = []
    gpu_check.run_group(rows, gpu_check.Group(["passed", "hangs", "passed 2"]), {}, late, 100)
    assert [row["state"] for row in rows] == ["passed", "not run", "not run"]
    assert time.monotonic() < late + 5
    found = gpu_check.make_all([gpu_check.Group(["passed"])] * 2, {}, deadline=0, longest_secs=1)
    assert [(row["state"], row["message"]) for row in found] == [
        ("not run", "no time left; use a larger --minutes")
    ] * 2


def test_without_the_device_nothing_else_is_run() -> None:
    """The fake worker says that the device failed, and would go on."""
    groups = [gpu_check.Group(["device", "hangs"]), gpu_check.Group(["export"])]
    started = time.monotonic()
    rows = gpu_check.make_all(groups, {}, LATER, 20)
    assert [row["state"] for row in rows] == ["failed", "not run", "not run"]
    assert rows[-1]["message"] == "the device cannot be used"
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(("checks", "code"), [(["passed"], 0), (["passed", "failed"], 1)])
def test_the_exit_code(
    checks: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(gpu_check, "groups", lambda *_names: [gpu_check.Group(checks)])
    monkeypatch.setattr("sys.argv", ["gpu_check.py"])
    assert gpu_check.main() == code
    written = json.loads(Path("gpu_check.json").read_text())
    assert [row["check"] for row in written["checks"]] == checks
    assert written["device"] == "gpu"
    assert f"{len(checks)} checks, {code} failed, 0 not run" in capsys.readouterr().out


def test_speeds_stand_beside_each_other() -> None:
    def row(check: str, images_per_sec: float) -> dict[str, Any]:
        figures = {"images_per_sec": images_per_sec}
        return {"check": check, "state": "passed", "message": "", "secs": 1, "figures": figures}

    failed = {"check": "train a p xla", "state": "failed", "message": "a | b", "secs": None}
    text = gpu_check.table([row("train a p plain", 1000.4), failed, row("torch a p", 2000.0)])
    assert "| train a p xla | failed |  | a / b |" in text.splitlines()
    assert text.splitlines()[-1] == "| a | p | 1,000 images/s |  | 2,000 images/s |"


def test_a_check_that_fails_gives_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(_settings: Any, kind: str) -> Any:
        errors = {
            "found": on_device.FailedError("two lines"),
            "skip": on_device.SkippedError("no torch"),
            "known": CnnlabError("no GPU"),
            "bug": ValueError("a\n b"),
        }
        raise errors[kind]

    monkeypatch.setitem(on_device.CHECKS, "raises", raises)
    rows = [
        on_device.make(f"raises {kind}", SETTINGS) for kind in ("found", "skip", "known", "bug")
    ]
    assert [(row["state"], row["message"]) for row in rows] == [
        *(("failed", "two lines"), ("skipped", "no torch")),
        *(("failed", "no GPU"), ("failed", "ValueError: a b")),
    ]


def test_a_heavy_operation_elsewhere_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations on shapes may be on the CPU, though their names have the convolution's."""
    gpu, cpu = "/job:localhost/replica:0/task:0/device:GPU:0", "/device:CPU:0"

    def check(*nodes: tuple[str, str, str]) -> Any:
        ops = [
            SimpleNamespace(
                device=place,
                node_stats=[SimpleNamespace(node_name=name, timeline_label=f"{name} = {op}(x)")],
            )
            for name, op, place in nodes
        ]
        traced = SimpleNamespace(step_stats=SimpleNamespace(dev_stats=ops))
        monkeypatch.setattr(on_device, "_traced_step", lambda *_: (traced, "a GPU"))
        return on_device.placement(SETTINGS._replace(device="gpu"), "cifar_cnn")

    shapes = ("conv1/Conv2D_grad/ShapeN", "ShapeN", cpu)
    assert check(("conv1/Conv2D", "_FusedConv2D", gpu), shapes)["heavy_operations"] == 1
    with pytest.raises(on_device.FailedError, match="1 of 2 elsewhere: dense1/MatMul on /device"):
        check(("conv1/Conv2D", "Conv2D", gpu), ("dense1/MatMul", "MatMul", cpu))
    with pytest.raises(on_device.FailedError, match="no convolution among the 1 operations"):
        check(shapes)


@pytest.mark.slow
def test_the_tiny_form_passes_on_a_cpu(tmp_path: Path) -> None:
    words = ["--device=cpu", "--minutes=9", "--models=cifar_cnn", "--precisions=float32"]
    process = start_python(str(ROOT / "scripts/gpu_check.py"), *words, cwd=tmp_path)
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    rows = json.loads((tmp_path / "gpu_check.json").read_text())["checks"]
    states = {row["check"]: row["state"] for row in rows}
    assert states.pop("torch cifar_cnn float32") in ("passed", "skipped")
    assert set(states.values()) == {"passed"}
    assert len(states) == 8
    assert not (tmp_path / "data").exists()  # no data file is needed, so none was fetched
