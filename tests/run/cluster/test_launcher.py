"""The pipe by which workers see that `cnnlab launch` was killed."""

from __future__ import annotations

import os
import threading

import pytest

from cnnlab.run.cluster import launcher


def test_a_worker_ends_when_its_launcher_has_ended(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    codes: list[int] = []
    ended = threading.Event()

    def leave(code: int) -> None:
        codes.append(code)
        ended.set()

    monkeypatch.setattr(launcher.os, "_exit", leave)
    with launcher.pipe_to_workers() as inherited:
        pipe, stderr = map(os.dup, inherited)  # as another process has them
        for name, value in launcher.environment_of(3, (pipe, stderr)).items():
            monkeypatch.setenv(name, value)
        launcher.end_with_launcher()
        launcher.end_with_launcher()  # as in a process that this one starts: it has no launcher
        assert not ended.wait(timeout=0.1)
    assert ended.wait(timeout=10)
    assert codes == [75]
    assert "[3] error: launch has been killed, so this worker ends; " in capfd.readouterr().err
    for one in (pipe, stderr):
        os.close(one)
