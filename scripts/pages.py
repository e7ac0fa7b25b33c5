"""Write the pages of docs/ that are made from the code and from measured results.

    python scripts/pages.py           # writes the pages
    python scripts/pages.py --check   # writes nothing; exits with 1 and names outdated pages

docs/options.md is made from the classes of options, docs/results.md from configs/,
results/reproduction.json and results/transfer.json, docs/benchmarks.md from
results/DATE-MACHINE-ISA/WORKLOAD.json.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout's scripts and cnnlab

from cnnlab.bottleneck.options import BottleneckOptions
from cnnlab.checkpoint import CheckpointOptions
from cnnlab.config.config import Config
from cnnlab.config.help import Description, describe
from cnnlab.config.options import Options
from cnnlab.data.__main__ import DataOptions
from cnnlab.data.folders.picture_commands import ArrangeOptions, CheckOptions
from cnnlab.data.show import ShowOptions
from cnnlab.evaluate import EvaluateOptions
from cnnlab.export import ExportOptions
from cnnlab.launch.__main__ import LaunchOptions
from cnnlab.port.port_options import PortOptions
from cnnlab.predict import PredictOptions
from cnnlab.report import ReportOptions
from cnnlab.reproduce import ReproduceOptions
from cnnlab.reproduce.table import Table
from cnnlab.run_tf1.__main__ import RunTF1Options
from cnnlab.tune.options import TuneOptions
from scripts.bench.benchmarks_page import benchmarks_page
from scripts.bench.markdown import GENERATED, filled
from scripts.bench.results import read_newest
from scripts.results_page import results_page

ROOT: Final = Path(__file__).resolve().parents[1]


class Command(NamedTuple):
    """A command of docs/options.md; it also has the options of `base`, which are listed there."""

    name: str
    options: type[Options]
    base: type[Options] = Options


COMMANDS: Final = (
    Command("train", Config),
    Command("evaluate", EvaluateOptions),
    Command("predict", PredictOptions),
    Command("report", ReportOptions),
    Command("export", ExportOptions),
    Command("launch", LaunchOptions),
    Command("bottleneck", BottleneckOptions, Config),
    Command("tune", TuneOptions, Config),
    Command("reproduce", ReproduceOptions),
    Command("checkpoint list|rename|diff", CheckpointOptions),
    Command("run-tf1", RunTF1Options),
    Command("port", PortOptions),
    Command("data list|fetch|verify", DataOptions),
    Command("data show", ShowOptions, Config),
    Command("data check", CheckOptions),
    Command("data arrange", ArrangeOptions),
)


def options_page(commands: Sequence[Command] = COMMANDS) -> str:
    """Return docs/options.md."""
    lines = [
        GENERATED.format(source="the classes of options"),
        "",
        "# Options",
        "",
        *filled(
            "Options are written `--name=value`. Lists and mappings are written in YAML's flow "
            "style, as in `--augment='[flip]'`, and `none` is the absence of a value. A switch is "
            "turned on by its name alone. `--help=all` prints the same texts. In Python the "
            "options of a command are keyword arguments, as in `Train(batch_size=100)`."
        ),
        "",
        "## Every command",
        "",
        *grouped(describe(Options)),
    ]
    for name, options, base in commands:
        lines += ["", f"## python -m cnnlab.{name}"]
        if base is Config:
            lines += ["", "All options of `python -m cnnlab.train`, and these:"]
        known = describe(base)
        own = {option: d for option, d in describe(options).items() if known.get(option) != d}
        lines += ["", *grouped(own)]
    return "\n".join(lines) + "\n"


def grouped(descriptions: Mapping[str, Description]) -> list[str]:
    """Return a heading for each group and an item for each option, in the order of `--help`."""
    by_group: dict[str, list[Description]] = {}
    for description in descriptions.values():
        by_group.setdefault(description.group, []).append(description)
    lines: list[str] = []
    for group, members in by_group.items():
        items = (line for description in members for line in option_item(description))
        lines += ["", f"### {group}", "", *items]
    return lines[1:]


def option_item(description: Description) -> list[str]:
    """Return the lines of one option: what it does, then an item for each explained choice."""
    summary, *choices = re.sub(r"([*<])", r"\\\1", description.text).splitlines()
    facts = [description.limits.replace("<", r"\<"), description.unit]
    facts.append(f"default: {description.default or 'empty'}")
    if description.aliases:
        facts.append("also " + ", ".join(f"`--{alias}`" for alias in description.aliases))
    stated = f"`{description.flag}` ({', '.join(filter(None, facts))}): {summary}"
    lines = filled(stated, "- ", "  ")
    for choice in choices:
        lines += filled(choice, "  - ", "    ")
    return lines


def pages() -> dict[Path, str]:
    """Return the text of each generated page by its path."""
    docs, results = ROOT / "docs", ROOT / "results"
    transfer = results / "transfer.json"
    measured = json.loads(transfer.read_text(encoding="utf-8")) if transfer.exists() else None
    return {
        docs / "options.md": options_page(),
        docs / "results.md": results_page(Table(results / "reproduction.json").rows(), measured),
        docs / "benchmarks.md": benchmarks_page(
            read_newest(results), read_newest(results / "compiled")
        ),
    }


def outdated(texts: Mapping[Path, str]) -> list[Path]:
    """Return the pages whose files are missing or hold another text."""
    return [
        path
        for path, text in texts.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main() -> int:
    """Write the pages or check them; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, name outdated pages")
    is_check = parser.parse_args().check
    texts = pages()
    for path in outdated(texts):
        name = path.relative_to(ROOT)
        if is_check:
            print(f"error: {name} is not current; run: python scripts/pages.py", file=sys.stderr)
        else:
            path.write_text(texts[path], encoding="utf-8")
            print(f"written: {name}")
    return int(is_check and bool(outdated(texts)))


if __name__ == "__main__":
    sys.exit(main())
