"""Image files of any size and mode to a network's input."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from cnnlab.errors import DataError

# Not all that Pillow reads: EPS, for one, would run Ghostscript, and rare formats are weak spots.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
# Pillow reports damage in all of these ways.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
MAX_PIXELS = 50_000_000  # a larger file is refused before it is decoded


def load_image(path: str | Path, image_shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Read an image file as a network takes it.

    Turned upright by its EXIF tag, laid on white where transparent, made grey or RGB as the network
    has it, and resized without keeping the aspect ratio (bicubic).

    Args:
        path: a file of one of FORMATS.
        image_shape: (height, width, channels), channels 1 or 3.

    Returns:
        uint8 [height, width, channels], range [0, 255].

    Raises:
        DataError: the file is missing, too large, damaged or no image.
    """
    height, width, channels = image_shape
    try:
        # Opening a pipe would wait for ever.
        if Path(path).exists() and not Path(path).is_file():
            raise DataError(f"{path} is not a regular file")
        with warnings.catch_warnings(), Image.open(path, formats=FORMATS) as image:
            warnings.simplefilter(
                "ignore"
            )  # of Pillow: what it warns of here is damage it survives
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"{path} has {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} "
                    "are read"
                )
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16") or upright.mode == "I":
                upright = Image.fromarray((np.asarray(upright) // 257).astype(np.uint8))
            if "A" in upright.getbands() or "transparency" in upright.info:
                white = Image.new("RGBA", upright.size, "white")
                upright = Image.alpha_composite(white, upright.convert("RGBA"))
            plain = upright.convert("L" if channels == 1 else "RGB")
            resized = plain.resize((width, height), Image.Resampling.BICUBIC)
    except FileNotFoundError:
        raise DataError(f"no image file {path}") from None
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{path} is not an image that can be read") from None
    except _DAMAGE as error:
        raise DataError(f"{path} cannot be read as an image: {error}") from error
    return np.asarray(resized, np.uint8).reshape(image_shape)
