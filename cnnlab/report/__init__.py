"""The report of trained runs, in one HTML file: a function, and `python -m cnnlab.report`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.base.files import is_partial, read_text, translate_os_errors, write_atomically
from cnnlab.config.options import STRICT, build, option
from cnnlab.config.own_code_options import OwnCodeOptions
from cnnlab.data.arrays import Pair
from cnnlab.models import ModelFunction
from cnnlab.report.facts import RunFacts, Selection, load_facts
from cnnlab.report.figures import require_matplotlib
from cnnlab.report.page import MARK, UNFINISHED, ReportPage, render, require_jinja
from cnnlab.report.sections import PICTURES, comparison, run_page, total_flops, total_parameters

REPORT_FILE = "report.html"
_MAX_BYTES = 200_000_000  # of an earlier report; it usually has a few MB


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class ReportOptions(OwnCodeOptions):
    """Options of `python -m cnnlab.report`."""

    save_dir: str = option(
        "./save",
        "run directory to report on, if no RUN is named",
        group="run",
        is_path=True,
        min_length=1,
    )
    checkpoint: str = option("latest", "latest, best or the number of a step", group="run")
    split: Literal["test", "validation", "train"] = option(
        "test", "split to evaluate on", group="data"
    )
    data_dir: str | None = option(
        None, "folder of the data files", default_text="the run's", group="data", is_path=True
    )
    out: str | None = option(
        None,
        "folder for report.html and its PNG files",
        default_text="RUN/report; ./report for several runs",
        group="report",
        is_path=True,
        min_length=1,
    )
    images: list[int] | None = option(
        None,
        "images to show saliency and activations of, by their index in the split, as in [0, 7]",
        default_text="two of the worst mistakes and two of the least sure",
        group="report",
    )
    examples: int = option(
        12,
        "number of worst mistakes, and of least sure images, to show",
        unit="images",
        group="report",
        ge=1,
    )


def report(
    runs: str | Path | Sequence[str | Path] = "./save",
    *,
    out: str | Path | None = None,
    checkpoint: str = "latest",
    split: str = "test",
    data_dir: str | None = None,
    images: Sequence[int] | None = None,
    examples: int = 12,
    model: str | ModelFunction | None = None,
    trust: bool = False,
    data: Pair | None = None,
) -> dict[str, Any]:
    """Write report.html, which contains its pictures, and the same pictures as PNG files.

    Args:
        runs: one or several run directories, finished or not.
        out: the folder to write to (default: RUN/report; ./report for several runs). It may hold
            an earlier report, which is replaced. Otherwise it must be empty or absent.
        checkpoint: "latest", "best" or the number of a step.
        split: "test", "validation" or "train".
        data_dir: the folder of the data files (default: the run's).
        images: indices in the split of the images to show saliency and activations of. Default:
            two of the worst mistakes and two of the least sure images.
        examples: the number of worst mistakes, and of least sure images, to show (>= 1).
        model: your own model, as its function or as FILE.py:NAME; default: each run's own copy.
        trust: whether to run the code of run directories from elsewhere.
        data: (images, labels) to report on instead of a split. A run on arrays of a script needs
            it, because no file holds its data.

    Returns:
        report (the path of the file), pictures (the names of the PNG files), and runs. Each entry
        of runs has save_dir, step, split, accuracy, loss, top5_accuracy, n, parameters, flops (of
        one image), mistakes and least_sure (indices in the split). A mistake with a lower
        probability for the truth comes first. If the labels are no classes, the figures are those
        of `cnnlab.run.metrics.target_sums`, and no images are chosen.

    Raises:
        UsageError: an option is wrong, or `out` holds files that are not a report.
        CnnlabError: there is no such run or checkpoint, matplotlib or Jinja2 is not installed, or a
            file cannot be read or written.
    """
    named = [runs] if isinstance(runs, str | Path) else runs
    folders = [Path(os.path.expanduser(run)) for run in named]
    given = {"checkpoint": checkpoint, "split": split, "data_dir": data_dir, "examples": examples}
    chosen = None if images is None else [int(index) for index in images]
    given |= {"model": None if callable(model) else model, "trust": trust}
    options = build(ReportOptions, {**given, "images": chosen, "out": out})
    if not folders:
        raise UsageError("name at least one run")
    folder = Path(options.out) if options.out is not None else _default_folder(folders)
    _check_replaceable(folder)
    require_matplotlib()
    require_jinja()
    selection = Selection(
        options.checkpoint,
        options.split,
        None if options.images is None else tuple(options.images),
        options.examples,
        options.data_dir,
        model,
        options.trust,
        data,
    )
    facts = [load_facts(run, selection) for run in folders]
    page, pictures = _compose(facts)
    _write(folder, render(page), pictures)
    return {
        "report": str(folder / REPORT_FILE),
        "pictures": sorted(f"{name}.png" for name in pictures),
        "runs": [_figures(run) for run in facts],
    }


def _default_folder(folders: Sequence[Path]) -> Path:
    return folders[0] / "report" if len(folders) == 1 else Path("report")


def _check_replaceable(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier report.

    Raises:
        UsageError: it is not a folder, or it holds files but no report of ours.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"--out={folder} is a file, not a folder")
    page = folder / REPORT_FILE
    if page.is_file():
        if MARK not in read_text(page, _MAX_BYTES):
            raise UsageError(
                f"{page} exists and was not written by cnnlab; choose another folder with --out=DIR"
            )
    elif any(not is_partial(path) for path in folder.iterdir()):
        raise UsageError(
            f"{folder} holds files but no {REPORT_FILE}; choose another folder with --out=DIR"
        )


def _compose(runs: Sequence[RunFacts]) -> tuple[ReportPage, dict[str, bytes]]:
    """Return the page and its PNG files by name.

    With several runs, the names of a run's own pictures begin with run1_, run2_ and so on.
    """
    pictures: dict[str, bytes] = {}
    if len(runs) == 1:
        title = f"Report on {runs[0].save_dir}"
        return ReportPage(title, [run_page(runs[0], pictures)], None), pictures
    compared = comparison(runs, pictures)
    pages = []
    for number, facts in enumerate(runs, 1):
        own: dict[str, bytes] = {}
        pages.append(run_page(facts, own))
        pictures |= {f"run{number}_{name}": png for name, png in own.items()}
    return ReportPage(f"Report on {len(runs)} runs", pages, compared), pictures


def _write(folder: Path, text: str, pictures: dict[str, bytes]) -> None:
    """Write the pictures, then the page, so that a page always has its pictures.

    Pictures of an earlier report that this one does not have are deleted. Where there is no page,
    a first one says that the report is not finished: if this process is stopped, the next one
    recognizes the folder.
    """
    with translate_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / REPORT_FILE).exists():
            write_atomically(folder / REPORT_FILE, UNFINISHED)
        ours = re.compile(rf"(run[0-9]+_)?({'|'.join(PICTURES)})\.png")
        for path in folder.iterdir():
            if ours.fullmatch(path.name) and path.stem not in pictures:
                path.unlink()
    for name, png in pictures.items():
        write_atomically(folder / f"{name}.png", png)
    write_atomically(folder / REPORT_FILE, text)


def _figures(facts: RunFacts) -> dict[str, Any]:
    return {
        "save_dir": str(facts.save_dir),
        "step": facts.step,
        "split": facts.split,
        **facts.figures,
        "parameters": total_parameters(facts),
        "flops": total_flops(facts),
        "mistakes": [example.place for example in facts.mistakes],
        "least_sure": [example.place for example in facts.least_sure],
    }
