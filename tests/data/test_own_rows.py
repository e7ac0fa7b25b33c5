"""A worker that prepares its own images only makes the same bits of them as one that has all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.data.batches import BatchSource
from cnnlab.data.datasets import Split
from cnnlab.data.own_rows import OwnRows, can_be_prepared_alone
from cnnlab.data.pipeline import RowStream
from cnnlab.data.specs import DatasetSpec

# Sizes that are no multiples of a vector's length, so that arrays have ends.
BATCH, COUNT, IMAGES = 20, 4, 50
SPEC = DatasetSpec("test", (9, 9, 3), ("a", "b"), IMAGES, 0)
rng = np.random.default_rng(0)
TRAIN = Split(
    rng.integers(0, 256, (IMAGES, *SPEC.image_shape), np.uint8),
    rng.integers(0, 2, IMAGES).astype(np.int32),
    rng.random(IMAGES, np.float32),
)
FED = rng.integers(0, 256, (11, *SPEC.image_shape), np.uint8)


def prepared(own: OwnRows | None, augment: list[Any], scaling: str) -> list[dict[str, Any]]:
    """Return the batches of steps 2 and 3, and one that is fed."""
    config = Config(batch_size=BATCH, augment=augment, scaling=scaling, seed=3)
    with tf.Graph().as_default(), tf.Session() as session:
        source = BatchSource(config, SPEC, IMAGES, None, has_example_weights=True, own=own)
        stream = RowStream(source.data, BATCH, config.seed, first_step=2, own=own)
        images_ph = tf.placeholder_with_default(FED[:0], [None, *SPEC.image_shape])
        labels_ph = tf.placeholder_with_default(np.zeros(0, np.int64), [None])
        step = tf.placeholder(tf.int64, [])
        batch = source.prepare(stream.next_rows_unless_fed(images_ph, labels_ph), step)
        source.fill(session, TRAIN)
        feeds = [{step: 2}, {step: 3}, {step: 4, images_ph: FED, labels_ph: np.zeros(len(FED))}]
        return [session.run(batch, feed) for feed in feeds]


CROPS = ({"central_crop": {"size": 8}}, {"random_crop": {"size": 5}})
CASES: list[tuple[list[Any], str]] = [
    (["flip", "vertical_flip", "pad_and_crop", "cutout"], "caffe"),
    (["alternating_flip", *CROPS, "translate"], "symmetric"),
]


@pytest.mark.parametrize(("augment", "scaling"), CASES)
@pytest.mark.slow
def test_own_images_have_the_bits_of_the_whole_batch(augment: list[Any], scaling: str) -> None:
    assert can_be_prepared_alone(Config(augment=augment, scaling=scaling))
    whole = prepared(None, augment, scaling)
    halves = [prepared(OwnRows(first, 1, COUNT), augment, scaling) for first in (1, 3)]
    for place, expected in enumerate(whole):
        for first, half in zip((1, 3), halves, strict=True):
            size = len(expected["labels"])
            part = slice(size * first // COUNT, size * (first + 1) // COUNT)
            found = half[place]
            assert found["inputs"].tobytes() == expected["inputs"][part].tobytes()
            for name in ("labels", "weights"):
                np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("read", [["images"], ["images", "labels"]])
def test_only_own_images_are_read(read: list[str]) -> None:
    own, asked = OwnRows(1, 1, COUNT), []
    columns = {"images": TRAIN.images, "labels": TRAIN.labels}

    def read_rows(rows: Any) -> Any:
        asked.append(len(rows))
        return tuple(columns[name][rows] for name in read)

    with tf.Graph().as_default(), tf.Session() as session:
        source = BatchSource(Config(batch_size=BATCH), SPEC, IMAGES, None, read=read, own=own)
        rows = RowStream(source.data, BATCH, 0, first_step=0, own=own).next_rows()
        assert source.data.reader is not None
        source.data.reader.read = read_rows
        source.data.fill(session, TRAIN.images, TRAIN.labels)
        found = session.run(rows)
    np.testing.assert_array_equal(found["images"], TRAIN.images[found["indices"][5:10]])
    np.testing.assert_array_equal(found["labels"], TRAIN.labels[found["indices"]])
    assert set(asked) == {5 if read == ["images"] else BATCH}  # labels are read with the images


@pytest.mark.parametrize(
    "options",
    [
        {"augment": ["mixup"]},
        {"augment": ["flip", "rotate"]},
        {"augment": ["standardize"]},
        {"augment": ["flip"], "scaling": "zca"},
        {"augment": ["mine.py:own"]},
    ],
)
def test_what_may_round_in_another_way_needs_the_whole_batch(options: dict[str, Any]) -> None:
    assert not can_be_prepared_alone(Config(**options))


def test_fewer_images_than_parts_make_fewer_parts() -> None:
    with tf.Session() as session:
        bounds = [session.run(OwnRows(n, 1, 4).bounds(tf.constant(3))) for n in range(4)]
    assert [(int(a), int(b)) for a, b in bounds] == [(0, 1), (1, 2), (2, 3), (3, 3)]
