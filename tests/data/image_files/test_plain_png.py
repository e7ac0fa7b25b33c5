"""The reader of simple PNG files, compared with Pillow's."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cnnlab.data.image_files import images
from cnnlab.data.image_files.plain_png import decode_plain_png

RGB, GREY, RGBA = (8, 12, 3), (8, 12, 1), (8, 12, 4)
# With a gradient and some noise, Pillow's encoder uses all five line filters.
NOISE = np.random.default_rng(3).integers(0, 24, RGB)
PIXELS = (NOISE + np.indices((8, 12)).sum(axis=0)[..., None] * 12).astype(np.uint8)


def png(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


PLAIN = png(Image.fromarray(PIXELS))


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("shape", [RGB, GREY, RGBA])
def test_equal_to_pillow(shape: tuple[int, int, int], level: int) -> None:
    for seed in range(20):
        high = 1 + seed * 13  # from flat to noise
        pixels = np.random.default_rng(seed).integers(0, high, shape).astype(np.uint8)
        data = png(Image.fromarray(np.squeeze(pixels)), compress_level=level)
        found = decode_plain_png(data, shape)
        assert found is not None
        assert found.flags.writeable
        assert np.array_equal(found, pixels)
        assert np.array_equal(np.squeeze(found), by_pillow(data))


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


@pytest.mark.parametrize("line_filter", range(5))
def test_every_filter_and_several_chunks(line_filter: int) -> None:
    lines = b"".join(bytes([line_filter]) + line.tobytes() for line in PIXELS)
    deflated = zlib.compress(lines)
    pieces = [deflated[at : at + 50] for at in range(0, len(deflated), 50)]
    data = PLAIN[:33] + b"".join(chunk(b"IDAT", piece) for piece in pieces) + chunk(b"IEND", b"")
    found = decode_plain_png(data, RGB)
    assert found is not None
    assert np.array_equal(found, by_pillow(data))


def test_other_png_files_give_none() -> None:
    image = Image.fromarray(PIXELS)
    text = PngInfo()
    text.add_text("a", "b")
    others = {
        "size": png(image.resize((12, 9))),
        "grey": png(image.convert("L")),
        "alpha": png(image.convert("RGBA")),
        "palette": png(image.convert("P")),
        "sixteen bits": png(Image.fromarray(PIXELS[..., 0].astype(np.uint16))),
        "transparent colour": png(image, transparency=(1, 2, 3)),
        "text": png(image, pnginfo=text),
        "no end": PLAIN[:-12],
        "nothing": b"",
        "no pixels": PLAIN[:33] + chunk(b"IEND", b""),
        "no PNG": b"GIF89a" + PLAIN,
    }
    for name, data in others.items():
        assert decode_plain_png(data, RGB) is None, name
    interlaced = PLAIN[:28] + b"\1"
    interlaced += struct.pack(">I", zlib.crc32(interlaced[12:])) + PLAIN[33:]
    assert decode_plain_png(interlaced, RGB) is None


@given(st.data())
def test_damaged_files_give_none(data: st.DataObject) -> None:
    content = bytearray(PLAIN)
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    found = decode_plain_png(bytes(content), RGB)
    # Pillow ignores the checksum of the IEND chunk.
    assert found is None or np.array_equal(found, by_pillow(bytes(content)))
    assert decode_plain_png(PLAIN[:place], RGB) is None


def test_load_image_uses_this_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("a.png", "wb") as file:
        file.write(PLAIN)
    monkeypatch.setattr(images.Image, "open", lambda *_args, **_kwargs: pytest.fail("used Pillow"))
    assert np.array_equal(images.load_image("a.png", RGB), PIXELS)
