"""Every command on a run of pictures, from another folder than that of the training."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnlab
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf2
from cnnlab.config.yaml_text import read_yaml_mapping
from cnnlab.data.image_files.images import load_image
from cnnlab.data.image_files.resizing import Resizing
from cnnlab.evaluate import evaluate
from cnnlab.export import export
from cnnlab.predict import predict
from cnnlab.report import report
from tests.data.folders.pictures import write, write_folder

OPTIONS: dict[str, Any] = {
    "dataset": "folder:pets",
    "image_size": "12,14",
    "resize": "pad",
    "interpolation": "bilinear",
    "validation_split": 0.2,
    "model": "mnist_perceptron",
    "model_options": {"init_stddev": 0.01},
    "batch_size": 4,
    "steps": 40,
    "scaling": "symmetric",
    "eval_steps": 20,
    "device": "cpu",
    "quiet": True,
}


def colours(root: str) -> None:
    """Write pictures that their brightness tells apart."""
    for label, level in (("night", 30), ("day", 220)):
        for i in range(10):
            path = Path(root, label, f"{label}.{i}.jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20 + i, 30), (level + i, level, level - i)).save(path)


@pytest.mark.slow
def test_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    colours("pets")
    with cnnlab.Train(**OPTIONS) as train:
        result = train.train("run", learning_rate=0.01)
    assert result["n"] == 4
    facts = read_yaml_mapping(Path("run/config.yaml"))
    assert facts["data"]["class_names"] == ["day", "night"]
    assert facts["resize"] == "pad"
    assert facts["dataset"] == f"folder:{Path('pets').resolve()}"
    assert set(facts["fingerprints"]) >= {"train images", "validation images"}

    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    found = evaluate("../run", split="test", predictions="p.csv")
    assert found["accuracy"] == result["accuracy"] == 1
    assert "/pets/day/day." in Path("p.csv").read_text()
    for split, n in (("train", 12), ("validation", 4)):
        assert evaluate("../run", split=split)["n"] == n
    assert evaluate("../run", images="../pets")["accuracy"] == 1
    assert evaluate("../run", dataset="folder:../pets", split="test")["accuracy"] == 1
    answer = predict(["../pets/night/night.3.jpg"], "../run")[0]
    assert answer["class"] == "night"

    export("../run", out="model")
    model = tf2.saved_model.load("model")
    content = Path("../pets/night/night.3.jpg").read_bytes()
    encoded = model.signatures["encoded"](image_bytes=tf2.constant([content]))
    assert encoded["probabilities"].numpy()[0, 1] == pytest.approx(answer["probability"], abs=1e-3)
    image = load_image("../pets/night/night.3.jpg", (12, 14, 3), Resizing("pad", "bilinear"))
    served = model.signatures["serving_default"](images=tf2.constant(image[None]))
    assert served["probabilities"].numpy()[0, 1] == pytest.approx(answer["probability"], abs=1e-6)
    assert report(["../run"], out="report.html")

    with cnnlab.Train(save_dir="../run", steps=50, quiet=True) as train:
        resumed = train.train()
    assert resumed["step"] == 50
    monkeypatch.chdir("..")
    with cnnlab.Train(**{**OPTIONS, "steps": 50}) as train:
        train.train("whole", learning_rate=0.01)
        whole = train.session.run(train.graph.get_collection("trainable_variables"))
    with cnnlab.Train(save_dir="run", quiet=True) as train:
        train.restore()
        parts = train.session.run(train.graph.get_collection("trainable_variables"))
    for one, other in zip(whole, parts, strict=True):
        assert np.array_equal(one, other)

    shutil.move("pets", "moved")
    assert predict(["moved/day/day.1.jpg"], "run")[0]["class"] == "day"
    with pytest.raises(CnnlabError, match="pets: this folder does not exist"):
        evaluate("run")
    assert evaluate("run", images="moved")["accuracy"] == 1


@pytest.mark.slow
def test_changed_pictures_are_another_run() -> None:
    colours("pets")
    with cnnlab.Train(**OPTIONS) as train:
        train.train("run")
    Image.new("RGB", (25, 30), "black").save("pets/day/day.3.jpg")
    with pytest.raises(UsageError, match=r"run holds another run: other (train|test|val).* images"):
        cnnlab.Train(**{**OPTIONS, "steps": 44}).train("run")


def test_skipped_pictures_are_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    colours("pets")
    write_folder("pets", {"day/.hidden": 1})
    write("pets/day/bad.png").write_text("x")
    with cnnlab.Train(**{**OPTIONS, "bad_files": "skip", "quiet": False}) as train:
        train.train("run")
    skipped = [str(Path("pets/day/bad.png").resolve())]
    assert read_yaml_mapping(Path("run/config.yaml"))["data"]["skipped"] == skipped
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert len(notes) == 2
    assert ".hidden" in notes[0]
    assert "bad.png is not an image" in notes[1]
    assert json.loads(Path("run/result.json").read_text())["finished"]
    assert evaluate("run")["n"] == 4
