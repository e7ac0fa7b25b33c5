"""A run on pictures that is killed goes on exactly, wherever the pixels are."""

from pathlib import Path

import pytest

from scripts.safety.picture_kills import kill_and_compare, write_pictures


@pytest.mark.slow
def test_kills_with_other_places_of_the_pixels(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures")
    assert kill_and_compare(tmp_path, kills=2, seed=3) == []
