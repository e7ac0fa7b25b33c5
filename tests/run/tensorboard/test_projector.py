"""The files of the projector."""

from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector import ProjectorConfig

from cnnlab.base.errors import CnnlabError
from cnnlab.run.tensorboard.projector import draw_sprite, write_projector


def test_the_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (5, 4, 6, 3), np.uint8)
    features = rng.normal(size=(5, 2, 2, 7)).astype(np.float32)  # a map; its mean is written
    labels, guesses = np.array([0, 1, 1, 0, 1]), np.array([0, 0, 1, 1, 1])
    for _ in range(2):  # again, as after a resumed run
        write_projector(tmp_path / "val", features, images, labels, guesses, ["cat", "dog"])
    folder = tmp_path / "val"
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    assert len(config.embeddings) == 1
    embedding = config.embeddings[0]
    assert list(embedding.sprite.single_image_dim) == [6, 4]
    found = np.loadtxt(folder / embedding.tensor_path, delimiter="\t")
    np.testing.assert_allclose(found, features.mean(axis=(1, 2)), rtol=1e-4, atol=1e-6)
    lines = (folder / embedding.metadata_path).read_text().splitlines()
    assert lines[0].split("\t") == ["index", "predicted", "right", "class"]
    assert [line.split("\t") for line in lines[1:3]] == [
        ["0", "cat", "yes", "cat"],
        ["1", "cat", "no", "dog"],
    ]
    assert len(lines) == 6
    sprite = np.asarray(Image.open(folder / embedding.sprite.image_path))
    assert sprite.shape == (12, 18, 3)  # 3 x 3 places
    np.testing.assert_array_equal(sprite[4:8, 6:12], images[4])


def test_class_names_stay_in_their_cells(tmp_path: Path) -> None:
    images, labels = np.zeros((2, 2, 2, 1), np.uint8), np.array([0, 1])
    write_projector(tmp_path, np.ones((2, 3)), images, labels, labels, ["a\tb", "c\nd\x1b"])
    lines = (tmp_path / "projector/labels.tsv").read_text().split("\n")
    assert lines[1:] == ["0\ta\\tb\tyes\ta\\tb", "1\tc\\nd\\x1b\tyes\tc\\nd\\x1b", ""]


def test_a_sprite_of_large_images_is_shrunk() -> None:
    sprite = draw_sprite(np.zeros((4, 5000, 100, 1), np.uint8))
    assert max(sprite.size) <= 8192


def test_a_failure_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / "val").write_text("a file")
    images = np.zeros((1, 2, 2, 1), np.uint8)
    with pytest.raises(CnnlabError, match=r"cannot write .*val"):
        write_projector(
            tmp_path / "val", np.zeros((1, 3)), images, np.array([0]), np.array([0]), ["a"]
        )
