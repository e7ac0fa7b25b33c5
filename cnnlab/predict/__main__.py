"""The command `python -m cnnlab.predict`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cnnlab.base.errors import DataError, UsageError
from cnnlab.base.files import output_to, translate_os_errors
from cnnlab.base.printing import print_as_is, print_lines
from cnnlab.config import cli
from cnnlab.config.options import as_dict
from cnnlab.data.image_files.image_paths import find_images
from cnnlab.predict import PredictOptions, iter_predictions
from cnnlab.predict.rendering import FORMATS


def main(words: Sequence[str] | None = None) -> None:
    """Run the command `python -m cnnlab.predict`."""
    cli.run(
        _predict_command,
        PredictOptions,
        words,
        usage="python -m cnnlab.predict FILE|FOLDER|PATTERN|-... [--save_dir=DIR] "
        "[--name=value ...]",
        about="Predict the class of image files with the weights of a run. Name files, folders, "
        "quoted patterns\nsuch as 'photos/**/*.png', or - to read paths from stdin. The subfolders "
        "of a folder are included.",
        takes_words=True,
    )


def _predict_command(options: PredictOptions, words: tuple[str, ...]) -> None:
    if not words:
        raise UsageError("name at least one image file: python -m cnnlab.predict FILE...")
    if options.json and options.format not in ("text", "json"):
        raise UsageError(f"--json and --format={options.format} exclude each other; use only one")
    num_good, num_bad, first_bad = 0, 0, ""

    def skip(error: DataError) -> None:
        nonlocal num_bad, first_bad
        first_bad = first_bad or str(error)
        num_bad += 1
        cli.complain(str(error), "skipped")

    def warn(text: str) -> None:
        cli.complain(text, "warning")

    def counted(answers: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        nonlocal num_good
        for answer in answers:
            num_good += 1
            yield answer

    files = find_images(words, sys.stdin.buffer)
    answers = iter_predictions(files, on_bad=skip, on_warning=warn, **as_dict(options))
    pieces = FORMATS["json" if options.json else options.format](counted(answers))
    if options.out is None:
        # CSV keeps any file name as it is for programs, but a terminal would obey some.
        write = print_lines if sys.stdout.isatty() else print_as_is
        for piece in pieces:  # one by one, so that a program that reads them need not wait
            write(piece, end="")
    else:
        _write(Path(options.out), pieces)
        cli.say(f"{num_good} predictions in {options.out}", options)
    if num_bad:
        count = f"{num_bad} of {num_good + num_bad} files"
        raise cli.Exit(1, error=f"{count} could not be read; the first: {first_bad}")


def _write(path: Path, pieces: Iterable[str]) -> None:
    """Write the file piece by piece. It appears under its name when it is complete."""
    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with output_to(path) as file:
        for piece in pieces:
            file.write(piece.encode("utf-8", "backslashreplace"))


if __name__ == "__main__":
    main()
