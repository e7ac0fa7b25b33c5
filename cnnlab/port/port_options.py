"""The options of `python -m cnnlab.port`."""

from __future__ import annotations

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.options import STRICT, Options, option


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class PortOptions(Options):
    """Options of `python -m cnnlab.port`."""

    out: str | None = option(
        None,
        "Python file to write the first script to, if the program's shape is recognised",
        group="port",
        is_path=True,
        min_length=1,
    )
    overwrite: bool = option(False, "replace the file that out names", group="port")
