"""The contact sheet."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.__main__ import main
from cnnlab.data.show import ShowOptions, displayable, load_batches, make_sheet

SHAPES = {"dataset": "shapes", "batch_size": 8}


@pytest.mark.slow
def test_inputs_are_the_augmented_originals() -> None:
    options = ShowOptions(**SHAPES, augment=["flip"], scaling="symmetric")
    originals, inputs = load_batches(options, 20)
    pixels = displayable(inputs, options)
    assert originals.shape == pixels.shape == (20, 32, 32, 3)
    is_same = (pixels == originals).all(axis=(1, 2, 3))
    is_mirrored = (pixels == originals[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (is_same | is_mirrored).all()
    assert is_same.any()
    assert is_mirrored.any()


@pytest.mark.slow
def test_the_sheet_shows_the_first_batch_of_training(tmp_path: Path) -> None:
    from cnnlab import Train

    options = {**SHAPES, "augment": ["pad_and_crop", "cutmix"]}
    _, inputs = load_batches(ShowOptions(**options), 8)
    seen = []

    def model(images, num_classes, *, training):  # type: ignore[no-untyped-def]
        import tensorflow as tf

        from cnnlab import layers

        if training:
            images = tf.numpy_function(lambda x: (seen.append(x), x)[1], [images], tf.float32)
            images = tf.ensure_shape(images, [None, 32, 32, 3])
        return layers.dense(layers.flatten(images), num_classes)

    with Train(model=model, **options, save_dir=str(tmp_path)) as train:
        train.session.run(train.train_op)
    np.testing.assert_array_equal(seen[0], inputs)


@pytest.mark.slow
def test_show_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "sheet.png"
    flags = ["show", "--dataset=shapes", f"--out={out}", "--images=9", "--batch_size=4"]
    with pytest.raises(SystemExit) as end:
        main([*flags, "--augment=[{random_crop: {size: 24}}, normalize]", "--json"])
    assert end.value.code == 0
    with Image.open(out) as sheet:
        # 8 columns of 48 + 2 pixels, and 2 rows of two images and gaps.
        assert sheet.size == (8 * 50 + 2, 2 * (2 * 48 + 4) + 2)
    answer = json.loads(capsys.readouterr().out)
    assert (answer["images"], answer["input_shape"]) == (9, [9, 24, 24, 3])
    assert answer["input_min"] < -0.5 < 0.5 < answer["input_max"]
    with pytest.raises(SystemExit):
        main(flags)
    assert "; the network gets 9 x 32 x 32 x 3, from 0 to 1\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--out=sheet.jpg", "the sheet is a PNG"),
        (
            "--agument=[flip]",
            "unknown option --agument in the command line; did you mean --augment",
        ),
        ("--augment=[flop]", "unknown augmentation flop; did you mean flip?"),
    ],
)
def test_wrong_usage(flag: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["show", "--dataset=shapes", flag])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_grey_sheet() -> None:
    grey = np.zeros((3, 70, 60, 1), np.uint8)
    assert make_sheet(grey, grey).size == (3 * 62 + 2, 2 * 70 + 4 + 2)
