"""Image files for tests."""

from pathlib import Path
from typing import Any

from PIL import Image


def save_image_files(folder: Path, pixels: Any) -> None:
    """Save one picture as RGB, grey, palette, RGBA and JPEG files."""
    folder.mkdir()
    image = Image.fromarray(pixels)
    image.save(folder / "rgb.png")
    image.convert("L").save(folder / "grey.png")
    image.convert("P").save(folder / "palette.png")
    transparent = image.convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(image.size))
    transparent.save(folder / "alpha.png")
    image.save(folder / "photo.jpg", quality=90)
