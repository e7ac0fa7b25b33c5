"""The options of every command that loads a run whose model may be the user's own function."""

from __future__ import annotations

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.options import STRICT, Options, option


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class OwnCodeOptions(Options):
    """The options for the user's own model."""

    model: str | None = option(
        None,
        "your model, as FILE.py:NAME or PACKAGE.MODULE:NAME",
        default_text="that of the run, from the copy in its folder code",
        group="run",
    )
    trust: bool = option(
        False,
        "run the code of a run directory from elsewhere, after you have read its folder code",
        group="run",
    )
