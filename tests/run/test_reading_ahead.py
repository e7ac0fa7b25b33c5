"""Evaluation reads the images of the next batch while the network computes this one."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import DataError
from cnnlab.data.datasets import Split
from cnnlab.data.row_images import RowImages
from cnnlab.run.inference import GraphSession
from tests import small_run

BATCH, WAIT_SECS = 6, 10


def test_the_next_batch_is_read_while_this_one_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (images, labels), _ = small_run.arrays()
    images, labels = images[:20], labels[:20]
    begun = {start: threading.Event() for start in range(0, 20, BATCH)}

    def read(rows: Any) -> Any:
        begun[int(rows[0])].set()
        return images[rows]

    compute, computed = GraphSession.run, list[bool]()

    def wait_and_compute(self: GraphSession, fetches: Any, feeds: Any) -> Any:
        following = BATCH * (len(computed) + 1)
        computed.append(begun[following].wait(WAIT_SECS) if following in begun else True)
        return compute(self, fetches, feeds)

    lazy = RowImages(read, np.arange(20), images.shape[1:])
    with small_run.make(tmp_path, eval_batch_size=BATCH) as train:
        session = GraphSession(train.session, train.train_graph.inference, train.config)
        expected = session.evaluate(Split(images, labels)).result()
        monkeypatch.setattr(GraphSession, "run", wait_and_compute)
        assert session.evaluate(Split(lazy, labels)).result() == expected
        assert computed == [True] * 4

        def fail(rows: Any) -> Any:
            raise DataError("cat.jpg has changed")

        with pytest.raises(DataError, match=r"^cat.jpg has changed$"):
            session.evaluate(Split(RowImages(fail, np.arange(20), images.shape[1:]), labels))
