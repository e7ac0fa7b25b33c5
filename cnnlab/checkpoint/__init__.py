"""Checkpoints as files: list their variables, rename them, compare two.

    from cnnlab.checkpoint import diff, list_variables, rename
    rename("old/model.ckpt-1000", "new/model.ckpt-1000", {"weights$": "kernel"})

Each function reads a run directory, a checkpoint of any program of TensorFlow 1, or an .npz file of
`cnnlab export`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.base.files import cannot_write, sync, translate_os_errors
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import open_session, reason_of, tf
from cnnlab.config.options import STRICT, Options, option
from cnnlab.config.start_options import compile_all, read_map
from cnnlab.run.disk.signatures import Signature, Signatures, listed
from cnnlab.run.disk.weight_sources import WeightSource, is_checkpoint, open_source, renamed

# How TensorFlow 2 finds its objects. It has the old names, so a renamed checkpoint is without it.
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class CheckpointOptions(Options):
    """Options of `python -m cnnlab.checkpoint`."""

    out: str | None = option(
        None,
        "for rename: path of the new checkpoint, without an ending, as in --out=new/model.ckpt-0",
        group="checkpoint",
        is_path=True,
        min_length=1,
    )
    map: dict[str, str] = option(
        {},
        "for rename and diff: new names for the variables of the first checkpoint, as a mapping of "
        "regular expressions to their replacements, or a YAML file of one, as in "
        "--map='{^net/: \"\", weights$: kernel}'; applied in this order",
        group="checkpoint",
    )
    tolerance: float = option(
        0.0,
        "for diff: values that differ by at most this count as equal",
        group="checkpoint",
        ge=0,
    )

    _read_map = pydantic.field_validator("map", mode="before")(read_map)
    _compile = pydantic.field_validator("map")(compile_all)


def list_variables(path: str | Path) -> dict[str, Any]:
    """Return the variables of a checkpoint. No value is read.

    Args:
        path: a run directory, a checkpoint's path without its ending, or an .npz file.

    Returns:
        checkpoint, the path that was read; variables, a list of name, dtype, shape, values (their
        number) and bytes (None for texts); and the sums values and bytes.

    Raises:
        CnnlabError: there is no checkpoint, or it is damaged.
    """
    source, shown = open_source(Path(path))
    rows = [_described(name, found) for name, found in sorted(source.signatures().items())]
    return {
        "checkpoint": shown,
        "variables": rows,
        "values": sum(row["values"] for row in rows),
        "bytes": sum(row["bytes"] or 0 for row in rows),
    }


def rename(path: str | Path, out: str | Path, renaming: Mapping[str, str]) -> dict[str, Any]:
    """Write a checkpoint's values under other names into a new checkpoint.

    The new checkpoint is complete or absent, whenever the process is killed. The old one stays.

    Args:
        path: see `list_variables`.
        out: path of the new checkpoint, without an ending; its folder must exist.
        renaming: regular expression to its replacement, as for `re.sub`. Each is applied in turn,
            to the names that the ones before gave.

    Returns:
        checkpoint, the path that was read; out; and renamed, old name to new name of each variable
        whose name has changed.

    Raises:
        UsageError: `renaming` changes no name, or `out` exists.
        CnnlabError: two variables get one name; a checkpoint cannot be read or written.
    """
    out = Path(out)
    if not out.name or re.search(r"[\[\\]", str(out)):
        raise UsageError(f"--out={out} is no path that TensorFlow can read")
    if is_checkpoint(out):
        raise UsageError(f"--out={out} exists; choose another path")
    source, shown = open_source(Path(path))
    new = renamed(source, renaming, "--map")
    old_names = sorted(source.signatures())  # in the order of the new signatures
    pairs = dict(zip(old_names, new.signatures(), strict=True))
    changed = {old: name for old, name in pairs.items() if old != name}
    if not changed:
        raise UsageError(f"--map changes no name of {shown}; {listed(old_names, 'it has: ')}")
    kept = {name: found for name, found in new.signatures().items() if name != OBJECT_GRAPH}
    _write(out, kept, new)
    return {"checkpoint": shown, "out": str(out), "renamed": changed}


def diff(
    first: str | Path,
    second: str | Path,
    *,
    renaming: Mapping[str, str] | None = None,
    tolerance: float = 0.0,
) -> dict[str, Any]:
    """Return how the variables of two checkpoints differ.

    Args:
        first, second: see `list_variables`.
        renaming: new names for the variables of the first; see `rename`.
        tolerance: values that differ by at most this count as equal (>= 0). NaN equals NaN.

    Returns:
        first and second, the paths that were read; only_first and only_second, names to signatures;
        other_signature, names to both signatures; other_values, a list of name, max_difference
        (None for texts, or where one is NaN), different (number of values) and values; same, the
        number of equal variables.

    Raises:
        CnnlabError: a checkpoint cannot be read, or `renaming` gives two variables one name.
    """
    unnamed, shown = open_source(Path(first))
    ours = renamed(unnamed, renaming or {}, "--map")
    theirs, shown_second = open_source(Path(second))
    a, b = ours.signatures(), theirs.signatures()
    common = sorted(name for name in a if a[name] == b.get(name))
    rows = []
    for name in common:  # one by one, so that only two arrays are in memory
        row = _compared(ours.read([name])[name], theirs.read([name])[name], tolerance)
        if row is not None:
            rows.append({"name": name, **row})
    return {
        "first": shown,
        "second": shown_second,
        "only_first": {name: str(a[name]) for name in sorted(a) if name not in b},
        "only_second": {name: str(b[name]) for name in sorted(b) if name not in a},
        "other_signature": {
            name: [str(a[name]), str(b[name])]
            for name in sorted(a)
            if b.get(name, a[name]) != a[name]
        },
        "other_values": rows,
        "same": len(common) - len(rows),
    }


def _described(name: str, found: Signature) -> dict[str, Any]:
    values = int(np.prod(found.shape, dtype=np.int64))
    size = _bytes_of(found.dtype)
    return {
        "name": name,
        "dtype": found.dtype,
        "shape": list(found.shape),
        "values": values,
        "bytes": None if size is None else values * size,
    }


def _bytes_of(dtype: str) -> int | None:
    """Return the bytes of one value; None: it is a text."""
    if dtype == "string" or dtype.startswith(("str", "bytes", "object")):
        return None
    return int(tf.as_dtype(dtype).size)


def _compared(a: Any, b: Any, tolerance: float) -> dict[str, Any] | None:
    """Return how two arrays of one type and shape differ; None: they are equal."""
    a, b = np.asarray(a), np.asarray(b)
    unequal, largest = a != b, None
    if a.dtype.kind not in "OSU":
        unequal &= ~((a != a) & (b != b))  # NaN in both
        kind = np.complex128 if a.dtype.kind == "c" else np.float64
        with np.errstate(invalid="ignore"):  # of infinities
            distance = np.abs(a.astype(kind) - b.astype(kind))
        if tolerance:
            unequal &= ~(distance <= tolerance)
        found = float(np.max(distance, where=unequal, initial=0.0))
        largest = found if np.isfinite(found) else None
    different = int(np.count_nonzero(unequal))
    if not different:
        return None
    return {"max_difference": largest, "different": different, "values": int(a.size)}


def _write(out: Path, signatures: Signatures, source: WeightSource) -> None:
    """Write a checkpoint that is complete or absent."""
    values = source.read(signatures)
    with (
        translate_os_errors(out),
        tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder,
    ):
        graph = tf.Graph()
        with building_in(graph):
            inputs = {name: tf.placeholder(found.dtype) for name, found in signatures.items()}
            save = tf.raw_ops.SaveV2(
                prefix=str(Path(folder) / out.name),
                tensor_names=list(inputs),
                shape_and_slices=[""] * len(inputs),
                tensors=list(inputs.values()),
            )
        try:
            with open_session(graph) as session:
                session.run(save, {inputs[name]: values[name] for name in inputs})
        except tf.errors.OpError as error:
            raise cannot_write(out, reason_of(error)) from error
        written = sorted(Path(folder).iterdir())  # .data-*, then .index, which means "complete"
        for file in written:
            sync(file)
        for file in written:
            file.replace(out.parent / file.name)
        sync(out.parent)
