"""The command `python -m cnnlab.launch`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.config import cli
from cnnlab.config.options import STRICT, Options, option
from cnnlab.launch import launch


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class LaunchOptions(Options):
    """The options of the command launch."""

    workers: int = option(
        2,
        "number of processes; for train, a power of two",
        group="workers",
        everyday=True,
        ge=1,
        le=256,
    )
    restarts: int = option(
        0,
        "how often to start all workers again after one was lost; the run resumes from its last "
        "checkpoint",
        group="workers",
        everyday=True,
        ge=0,
    )


def main(words: Sequence[str] | None = None) -> None:
    """Run the command `python -m cnnlab.launch`."""
    all_words = sys.argv[1:] if words is None else list(words)
    end = all_words.index("--") if "--" in all_words else len(all_words)
    command = all_words[end + 1 :]

    def run(options: LaunchOptions, _words: tuple[str, ...]) -> None:
        if not command or command[0] not in ("train", "evaluate"):
            raise UsageError(
                "launch starts workers of train or evaluate: "
                "cnnlab launch --workers=2 -- train --steps=100"
            )
        if code := launch(command, options.workers, options.restarts):
            raise cli.Exit(code)

    cli.run(
        run,
        LaunchOptions,
        all_words[:end],
        usage="python -m cnnlab.launch [--workers=N] [--restarts=N] -- train|evaluate "
        "[--name=value ...]",
        about="Train or evaluate with several processes on this machine, which share the images.",
    )


if __name__ == "__main__":
    main()
