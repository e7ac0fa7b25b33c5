"""Several hundred bad inputs: what prepares a folder, and the command that then reads it."""

import io
import os
import pickle
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.safety.cases import (
    CODES_FAILED,
    CODES_REFUSED,
    CODES_SURVIVED,
    CODES_USAGE,
    Case,
    writer,
)
from scripts.safety.corpus_data import data_files


def cases() -> list[Case]:
    """Return every bad input."""
    families = (recipes, configs, records, checkpoints, images, data_files, flags)
    return [case for family in families for case in family()]


YAML_TEXTS: dict[str, bytes] = {
    "python object": b"steps: !!python/object/apply:os.system ['touch {pwned}']",
    "python name": b"steps: !!python/name:os.system",
    "python module": b"steps: !!python/module:os",
    "python new": b"!!python/object/new:os.system ['touch pwned']",
    "python tuple": b"augment: !!python/tuple [flip]",
    "own tag": b"steps: !danger 1",
    "billion laughs": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(
        b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(20)
    ),
    "alias": b"augment: &a [flip]\nmodel_options: *a",
    "self reference": b"augment: &a [*a]",
    "merge key": b"<<: {steps: 3}",
    "deep lists": b"augment: " + b"[" * 50_000,
    "deep closed lists": b"augment: " + b"[" * 5_000 + b"]" * 5_000,
    "deep mappings": b"{a: " * 3_000,
    "deep blocks": b"".join(b" " * i + b"a:\n" for i in range(800)),
    "huge": b"# " + b"x" * 5_000_000,
    "huge integer": b"steps: " + b"9" * 5_000,
    "integer beyond int64": b"steps: 99999999999999999999999",
    "hexadecimal": b"seed: 0xffffffffffffffffffff",
    "infinite rate": b"learning_rate: .inf",
    "rate not a number": b"learning_rate: .nan",
    "negative": b"steps: -1",
    "zero": b"batch_size: 0",
    "fraction": b"steps: 1.5",
    "null byte": b"steps: 1\0",
    "null in a path": b'log_dir: "a\\0b"',
    "surrogate": b'log_dir: "\\ud800"',
    "binary": b"\x00\xff\xfe\x80" * 40,
    "latin": "Größe: 1".encode("latin-1"),
    "utf-16": "steps: 1".encode("utf-16"),
    "empty": b"",
    "only null": b"null",
    "a list": b"[steps, 1]",
    "a text": b"steps",
    "a number": b"17",
    "two documents": b"steps: 1\n---\nsteps: 2",
    "twice": b"steps: 1\nsteps: 2",
    "unknown": b"stepz: 1",
    "number as name": b"1: 2",
    "null as name": b"~: 2",
    "list as name": b"? [a]\n: 1",
    "mapping for number": b"steps: {a: 1}",
    "list for text": b"model: [cifar_cnn]",
    "bad date": b"model: 2024-99-99",
    "date": b"steps: 2024-01-01",
    "bad base64": b"model: !!binary '###'",
    "open quote": b'model: "cifar',
    "open bracket": b"augment: [flip",
    "tab": b"steps:\t- 1\n\t- 2",
    "recipe in recipe": b"config: cifar_cnn",
    "bad augmentation": b"augment: [explode]",
    "unknown model": b"model: os:system",
    "unknown data": b"dataset: ../../etc",
    "boolean steps": b"steps: yes",
    "null text": b"model: null",
    "null list": b"augment: null",
    "directive": b"%YAML 99.1\n---\nsteps: 1",
}


def recipes() -> Iterator[Case]:
    """Yield YAML files that are passed as --config."""
    words = (
        "train",
        "--config={folder}/bad.yaml",
        "--save_dir={folder}/new",
        "--data_dir=/dev/null",
    )
    for name, text in YAML_TEXTS.items():
        yield Case(f"recipe: {name}", writer("bad.yaml", text), words, CODES_USAGE)
    for name, make in {
        "folder": lambda folder: (folder / "bad.yaml").mkdir(),
        "pipe": lambda folder: os.mkfifo(folder / "bad.yaml"),
        "missing": lambda folder: None,
        "broken link": lambda folder: (folder / "bad.yaml").symlink_to("nowhere"),
        "link to a device": lambda folder: (folder / "bad.yaml").symlink_to("/dev/zero"),
    }.items():
        yield Case(f"recipe: {name}", make, words, CODES_USAGE)


def configs() -> Iterator[Case]:
    """Yield config.yaml files of a run, edited by hand."""
    words = ("evaluate", "--save_dir={folder}/run")
    for name, text in YAML_TEXTS.items():
        # Some of these texts are valid options, but not the options of this run's checkpoint.
        yield Case(f"config: {name}", writer("run/config.yaml", text), words, CODES_REFUSED)


def records() -> Iterator[Case]:
    """Yield damaged result.json and metrics.jsonl files of a run."""
    words = ("train", "--save_dir={folder}/run", "--steps=40")
    texts = {
        "empty object": b"{}",
        "list": b"[1, 2]",
        "cut": b'{"step": 30, "fin',
        "binary": b"\x00\xff\xfe\n",
        "deep": b"[" * 100_000 + b"\n",
        "text step": b'{"step": "30", "finished": true}\n',
        "null step": b'{"step": null, "split": "val", "accuracy": 1}\n',
        "huge number": b'{"step": ' + b"9" * 5000 + b"}\n",
        "no figures": b'{"step": 40, "finished": true, "split": "val"}\n',
        "400 digits": b'{"step": 40, "finished": false, "seconds": ' + b"9" * 400 + b"}\n",
        "1e308": b'{"step": 40, "split": "val", "loss": 1e308, "seconds": 1e308}\n',
    }
    for name, text in texts.items():
        yield Case(f"result: {name}", writer("run/result.json", text), words, CODES_FAILED)
        if name != "cut":  # of metrics.jsonl a last line cut short is what a kill leaves
            line = text if text.endswith(b"\n") else text + b"\n"
            yield Case(f"metrics: {name}", writer("run/metrics.jsonl", line), words, CODES_FAILED)
    more = {
        "unknown split": b'{"step": 1, "split": "tset", "accuracy": 1}\n',
        "no accuracy": b'{"step": 1, "split": "val"}\n',
        "text accuracy": b'{"step": 1, "split": "val", "accuracy": "high"}\n',
        "boolean": b'{"step": true, "split": "val", "accuracy": 1}\n',
    }
    for name, line in more.items():
        yield Case(f"metrics: {name}", writer("run/metrics.jsonl", line), words, CODES_FAILED)


def checkpoints() -> Iterator[Case]:
    """Yield damage to the newest checkpoint, and wrong values of --checkpoint."""
    words = ("evaluate", "--save_dir={folder}/run")
    chance = random.Random(5)
    index, data = "run/model.ckpt-30.index", "run/model.ckpt-30.data-00000-of-00001"

    def change(name: str, how: Callable[[bytes], bytes]) -> Callable[[Path], object]:
        return lambda folder: (folder / name).write_bytes(how((folder / name).read_bytes()))

    def flip(at: float) -> Callable[[bytes], bytes]:
        def flipped(content: bytes) -> bytes:
            position = int(at * len(content))
            return content[:position] + bytes([content[position] ^ 8]) + content[position + 1 :]

        return flipped

    for name, file in (("index", index), ("data", data)):
        for share in (0, 0.1, 0.5, 0.99):
            cut = lambda content, share=share: content[: int(share * len(content))]  # noqa: E731
            yield Case(f"{name} cut at {share}", change(file, cut), words, CODES_SURVIVED)
        for _ in range(6):
            at = chance.random()
            yield Case(f"{name} flipped at {at:.3f}", change(file, flip(at)), words, CODES_SURVIVED)
        noise = lambda content: chance.randbytes(len(content))  # noqa: E731
        yield Case(f"{name} of noise", change(file, noise), words, CODES_SURVIVED)
        gone = lambda folder, file=file: (folder / file).unlink()  # noqa: E731
        yield Case(f"{name} missing", gone, words, CODES_SURVIVED)

    def all_cut(folder: Path) -> None:
        for path in (folder / "run").glob("model.ckpt-*.data*"):
            path.write_bytes(b"")

    yield Case("every checkpoint empty", all_cut, words, CODES_FAILED)
    yield Case("pointer elsewhere", writer("run/checkpoint", b"../../etc/passwd"), words, (0,))
    huge = writer("run/model.ckpt-99999999999999999999.index", b"x")
    yield Case("a step beyond int64", huge, words, (0,))
    big = writer("run/model.ckpt-9223372036854775807.index", b"x")
    yield Case("the largest step, damaged", big, words, (0,))
    for word in ("latest ", "7", "-1", "../best", "1e3", "9" * 5000, "\u0663"):
        bad = ("evaluate", "--save_dir={folder}/run", f"--checkpoint={word}")
        yield Case(f"checkpoint {word[:9]}", lambda folder: None, bad, CODES_REFUSED)


def _png(width: int, height: int, extra: bytes = b"") -> bytes:
    """Return a PNG whose header claims a size and whose pixels are nearly absent."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), extra, chunk(b"IDAT", zlib.compress(b"\0" * 100)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def images() -> Iterator[Case]:
    """Yield files for predict that are no images, or damaged ones."""
    words = ("predict", "{folder}/bad", "--save_dir={folder}/run")
    chance = random.Random(6)
    pixels = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8))
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        out = io.BytesIO()
        pixels.save(out, kind)
        good = out.getvalue()
        for share in (0.02, 0.3, 0.6):
            cut = good[: int(share * len(good))]
            yield Case(f"{kind} cut at {share}", writer("bad", cut), words, CODES_FAILED)
        for number in range(4):
            noisy = bytearray(good)
            for _ in range(60):
                noisy[chance.randrange(len(noisy))] = chance.randrange(256)
            # A file with damaged pixels can still be a valid image.
            yield Case(f"{kind} noisy {number}", writer("bad", bytes(noisy)), words, (0, 1))
    contents = {
        "empty": b"",
        "one byte": b"\x89",
        "text": b"hello, I am an image",
        "html": b"<html><script>alert(1)</script></html>",
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(x) print\n",
        "pdf": b"%PDF-1.4\n",
        "zeros": bytes(100_000),
        "noise": random.Random(1).randbytes(100_000),
        "elf": b"\x7fELF" + bytes(200),
        "pickle": pickle.dumps({"a": 1}),
        "png of 10^10 pixels": _png(100_000, 100_000),
        "png of 10^8 pixels": _png(10_000, 10_000),
        "png of 4 * 10^9 by 1": _png(2**31 - 1, 1),
        "png without pixels": _png(0, 0),
        "png with little data": _png(5_000, 5_000),
        "png signature only": b"\x89PNG\r\n\x1a\n",
        "jpeg signature only": b"\xff\xd8\xff\xe0",
        "gif of 65535^2": b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\0\0\0\0\xff\xff\xff\xff\0\x02\0;",
        "bmp of 2^31": b"BM" + struct.pack("<IHHIIiiHHIIIIII", 54, 0, 0, 54, 40, 2**31 - 1, 1, 1,
                                           24, 0, 0, 0, 0, 0, 0),
        "ppm of 10^18": b"P6\n999999999 999999999\n255\n",
        "tiff loop": b"II*\0\x08\0\0\0" + bytes(2) + b"\x08\0\0\0",
    }  # fmt: skip
    for name, content in contents.items():
        yield Case(f"image: {name}", writer("bad", content), words, CODES_FAILED)
    for name, make in {
        "pipe": lambda folder: os.mkfifo(folder / "bad"),
        "missing": lambda folder: None,
        "loop of links": lambda folder: (folder / "bad").symlink_to("bad"),
        "endless device": lambda folder: (folder / "bad").symlink_to("/dev/zero"),
    }.items():
        yield Case(f"image: {name}", make, words, CODES_FAILED)
    yield Case("image: empty folder", lambda f: (f / "bad").mkdir(), words, CODES_USAGE)
    pattern = ("predict", "{folder}/b[a-c]?*", "--save_dir={folder}/run")
    yield Case("image: pattern without a match", lambda folder: None, pattern, CODES_USAGE)
    filled = ("predict", "{folder}/bad", "{folder}/bad", "--save_dir={folder}/run", "--json")
    yield Case("image: folder of bad ones", writer("bad/x.png", b"x"), filled, CODES_FAILED)
    long_name = ("predict", "x" * 5000, "--save_dir={folder}/run")
    yield Case("image: name too long", lambda folder: None, long_name, CODES_FAILED)


def flags() -> Iterator[Case]:
    """Yield command lines with bad options."""
    nothing = lambda folder: None  # noqa: E731
    for words in (
        ("--stepz=1",), ("--steps=",), ("--steps=ten",), ("--steps=-1",), ("--steps=1e3",),
        ("--steps=" + "9" * 5000,), ("--steps=1", "--epochs=1"), ("--learning_rate=nan",),
        ("--learning_rate=inf",), ("--learning_rate=0",), ("--batch_size=99999999",),
        ("--dataset=../../x",), ("--model=os:system",), ("--augment=[",), ("--augment=&a [*a]",),
        ("--augment=!!python/name:os.system",), ("--augment=" + "[" * 500,),
        ("--model_options={a: 1}",), ("--device=gpu:x",), ("--config=nothing",), ("--config=",),
        ("--seed=-1",), ("--save_dir=",), ("--save_dir=/dev/null/x",), ("--save_dir=/proc/x/y",),
        ("--log_dir=/dev/null",), ("stray",), ("--on_nan=hope",), ("--rollback_factor=2",),
        ("--save_dir=" + "x/" * 3000,), ("--save_dir=\udcff",), ("--json=maybe",),
    ):  # fmt: skip
        full = ("train", "--save_dir={folder}/new", "--dataset=shapes", "--steps=1", *words)
        yield Case(f"flag: {' '.join(words)[:40]!a}", nothing, full, CODES_REFUSED)
