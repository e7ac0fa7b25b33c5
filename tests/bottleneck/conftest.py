"""The trained network whose base the tests use."""

import pytest

from tests.bottleneck.small_base import (
    train_source,
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return train_source(tmp_path_factory.mktemp("source") / "run")
