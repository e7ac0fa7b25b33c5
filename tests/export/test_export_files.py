"""Where exports are written: through links, and again after a stop."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import UsageError
from cnnlab.base.files import write_output
from cnnlab.base.tf1 import tf
from cnnlab.export import export


@pytest.mark.slow
def test_a_link_stays_a_link(trained: Any, tmp_path: Path) -> None:
    """`--overwrite` replaces what the link leads to, a file or a folder."""
    save_dir = str(trained.folder / "save")
    export(save_dir, "npz", "w.npz", checkpoint="20")
    export(save_dir, out="model", checkpoint="20")
    for name in ("w.npz", "w.npz.json", "model"):
        Path(f"to_{name}").symlink_to(name)
    export(save_dir, "npz", "to_w.npz", overwrite=True)
    export(save_dir, out="to_model", overwrite=True)
    links = sorted(path.name for path in tmp_path.iterdir() if path.is_symlink())
    assert links == ["to_model", "to_w.npz", "to_w.npz.json"]
    assert len(list(tmp_path.iterdir())) == 6
    assert json.loads(Path("w.npz.json").read_text())["step"] == 40
    assert (tmp_path / "model/saved_model.pb").is_file()
    found = tf.train.load_checkpoint("model/variables/variables").get_tensor("logits/bias")
    with np.load("w.npz") as weights:
        assert found.tobytes() == weights["logits/bias"].tobytes()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_stopped_export_can_be_repeated(
    overwrite: bool, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_dir = str(trained.folder / "save")

    def stop(path: Path, content: Any) -> None:
        write_output(path, content)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("cnnlab.export.write_output", stop)
        with pytest.raises(KeyboardInterrupt):
            export(save_dir, "npz", "w.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["w.npz.json"]
    assert export(save_dir, "npz", "w.npz", overwrite=overwrite)["step"] == 40
    Path("mine.npz.json").write_text("{}")
    with pytest.raises(UsageError, match=r"mine\.npz\.json exists"):
        export(save_dir, "npz", "mine.npz")
