"""Report on trained runs in one HTML file: a function, and `python -m cnnlab.report`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.base.files import read_text, translate_os_errors, write_atomically
from cnnlab.config.options import STRICT, Options, build, option
from cnnlab.report import html
from cnnlab.report.facts import RunFacts, Wishes, load_facts
from cnnlab.report.figures import require_matplotlib
from cnnlab.report.sections import PICTURES, comparison, run_section, total_flops

REPORT_FILE = "report.html"
_MAX_BYTES = 200_000_000  # of a report, a few MB as a rule


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class ReportOptions(Options):
    """Options of `python -m cnnlab.report`."""

    save_dir: str = option(
        "./save", "run directory to report on, where no RUN is named", group="run", min_length=1
    )
    checkpoint: str = option("latest", "latest, best or the number of a step", group="run")
    split: Literal["test", "validation", "train"] = option("test", "which images", group="data")
    data_dir: str | None = option(
        None, "folder of the data files; the run's own unless given", group="data"
    )
    out: str | None = option(
        None,
        "folder of report.html and its PNGs; RUN/report, of several runs ./report, unless given",
        group="report",
        min_length=1,
    )
    images: list[int] | None = option(
        None,
        "images to look into, as in [0, 7], by their place in the split; unless given, two of the "
        "worst mistakes and two of the least sure",
        group="report",
    )
    examples: int = option(
        12, "worst mistakes, and least sure images, to show", unit="images", group="report", ge=1
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
) -> dict[str, Any]:
    """Write report.html, which holds all its pictures, and the pictures as PNG files beside it.

    Args:
        runs: a run directory or several, finished or not.
        out: the folder; RUN/report, of several runs ./report, unless given. It may hold an earlier
            report, which is replaced, and else nothing.
        checkpoint: "latest", "best" or the number of a step.
        split: "test", "validation" or "train".
        data_dir: where the data files are, if not where the runs had them.
        images: places in the split of the images whose activations and saliency are shown; two of
            the worst mistakes and two of the least sure unless given.
        examples: how many mistakes, and least sure images, to show (>= 1).

    Returns:
        report (path of the file), pictures (names of the PNGs), and runs, a list of save_dir,
        step, split, accuracy, loss, top5_accuracy, n, parameters, flops (of one image), mistakes
        and least_sure (places in the split).

    Raises:
        UsageError: a wrong option, or `out` holds something that is no report.
        CnnlabError: no such run or checkpoint, matplotlib is not installed, or something cannot be
            read or written.
    """
    folders = [Path(runs)] if isinstance(runs, str | Path) else [Path(run) for run in runs]
    given = {"checkpoint": checkpoint, "split": split, "data_dir": data_dir, "examples": examples}
    chosen = None if images is None else [int(index) for index in images]
    options = build(ReportOptions, {**given, "images": chosen})
    if not folders:
        raise UsageError("name at least one run")
    folder = Path(out) if out is not None else _default_folder(folders)
    _check_replaceable(folder)
    require_matplotlib()
    wishes = Wishes(
        options.checkpoint,
        options.split,
        None if options.images is None else tuple(options.images),
        options.examples,
        options.data_dir,
    )
    facts = [load_facts(run, wishes) for run in folders]
    text, pictures = _compose(facts)
    _write(folder, text, pictures)
    return {
        "report": str(folder / REPORT_FILE),
        "pictures": sorted(f"{name}.png" for name in pictures),
        "runs": [_figures(run) for run in facts],
    }


def _default_folder(folders: Sequence[Path]) -> Path:
    return folders[0] / "report" if len(folders) == 1 else Path("report")


def _check_replaceable(folder: Path) -> None:
    """Refuse a folder with anything in it but an earlier report.

    Raises:
        UsageError: it is no folder, or holds other files and no report of ours.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"--out={folder} is a file, not a folder")
    page = folder / REPORT_FILE
    if page.is_file():
        if html.MARK not in read_text(page, _MAX_BYTES):
            raise UsageError(
                f"{page} is there and is no report of cnnlab; choose another folder with --out=DIR"
            )
    elif any(folder.iterdir()):
        raise UsageError(
            f"{folder} holds files and no {REPORT_FILE}; choose another folder with --out=DIR"
        )


def _compose(runs: Sequence[RunFacts]) -> tuple[str, dict[str, bytes]]:
    """The page, and its pictures by name; of several runs, run1_ and so on stands before each."""
    pictures: dict[str, bytes] = {}
    if len(runs) == 1:
        title = f"Report on {runs[0].save_dir}"
        return html.page(title, f"{_title(title)}{run_section(runs[0], pictures)}"), pictures
    title = f"Report on {len(runs)} runs"
    parts = [_title(title), "<nav><ul>"]
    for number, facts in enumerate(runs, 1):
        name = html.escaped(str(facts.save_dir))
        parts.append(f'<li><a href="#run{number}">{number}. {name}</a></li>')
    parts += ["</ul></nav>", comparison(runs, pictures)]
    for number, facts in enumerate(runs, 1):
        own: dict[str, bytes] = {}
        name = html.escaped(str(facts.save_dir))
        parts.append(f'<section><h2 id="run{number}">{number}. {name}</h2>')
        parts.append(f"{run_section(facts, own)}</section>")
        pictures.update({f"run{number}_{name}": png for name, png in own.items()})
    return html.page(title, "\n".join(parts)), pictures


def _title(text: str) -> str:
    return f"<h1>{html.escaped(text)}</h1>\n"


def _write(folder: Path, text: str, pictures: dict[str, bytes]) -> None:
    """Write the page last, so that it is there only with its pictures; drop what an earlier
    report had and this one has not."""
    with translate_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
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
        "parameters": sum(layer.parameters for layer in facts.layers),
        "flops": total_flops(facts),
        "mistakes": [example.place for example in facts.mistakes],
        "least_sure": [example.place for example in facts.unsure],
    }
