"""scripts/bench/decode.py, with few pictures."""

import sys

import pytest

from scripts.bench import decode


@pytest.mark.slow
def test_rates_of_all_readers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--count=40", "--rounds=1", "--batches=1", "--size=100"]
    monkeypatch.setattr(sys, "argv", ["decode.py", *few])
    decode.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "cnnlab",
        "tf.data, antialiased",
        "tf.data, plain",
    ]
    assert "reaches 1.00 of its rate" in lines[0]
