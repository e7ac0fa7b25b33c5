"""Show what each ingredient of training does, on few images, with equal steps and three seeds.

    python scripts/bench/ablations.py --data_dir=./data              # about 25 minutes on two cores
    python scripts/bench/ablations.py --data_dir=./data --tables=lrn # about 50 minutes more

The network `cifar_cnn` learns 1,500 images of CIFAR-10 by heart unless something keeps it from
that, so that a penalty, dropout, batch norm or augmentation shows in the gap between training and
test images. Where an ingredient has a strength, it is chosen by the accuracy on validation images,
with a seed of its own; the test images choose nothing. The table `lrn` is of the recipe
`cifar_lrn`.

Each run has a folder below --work_dir. A finished run is not repeated and a stopped one is resumed,
so the script can be called until all runs are finished. Writes results/ablations.json,
docs/ablations.md and docs/ablations.png. With --report_only it trains nothing.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab import Train
from cnnlab.base.files import write_atomically
from cnnlab.base.machine import joined_provenance
from cnnlab.data.datasets import Split, load_dataset
from cnnlab.run.disk.config_file import read_provenance
from scripts.bench.ablations_page import SPLITS, Options, markdown, plot

CHOICE_SEED: Final = 100  # of the runs by which a strength is chosen
MEASURED_SEEDS: Final = 3
DISTORTIONS: Final = [
    {"random_crop": {"size": 24}},
    "flip",
    {"brightness": {"max_delta": 63}},
    {"contrast": {"lower": 0.2, "upper": 1.8}},
    "standardize",
]
CENTRE: Final = [{"central_crop": {"size": 24}}, "standardize"]  # images of the same size


class Table(NamedTuple):
    """Runs that differ in one ingredient.

    Attributes:
        about: what its runs share, as a sentence.
        images: training images; None: all but the validation images.
        steps: of each run.
        base: the options of all runs.
        kinds: name to the options that differ; several: the candidates to choose from.
    """

    about: str
    images: int | None
    steps: int
    base: Options
    kinds: Mapping[str, Sequence[Options]]


SMALL: Final = {
    "model": "cifar_cnn",
    "batch_size": 50,
    "optimizer": "adam",
    "learning_rate": 0.001,
    "schedule": "constant",
}
ABOUT_SMALL: Final = "`cifar_cnn`, Adam 0.001 at a constant rate, batches of 50"
TABLES: Final[dict[str, Table]] = {
    "regularization": Table(
        ABOUT_SMALL,
        1500,
        600,
        SMALL,
        {
            "none": [{}],
            "L1": [{"l1": strength} for strength in (0.0001, 0.0005)],
            "L2": [{"l2": strength} for strength in (0.001, 0.005)],
            "dropout": [
                {"model_options": {"dropout": 0.5}},
                {"model_options": {"dropout": 0.5, "conv_dropout": 0.2}},
            ],
            "batch norm before relu": [{"model_options": {"batch_norm": "before"}}],
            "flip, crop": [{"augment": ["flip", {"pad_and_crop": {"pixels": 4}}]}],
        },
    ),
    "initialization": Table(
        ABOUT_SMALL,
        1500,
        600,
        SMALL,
        {
            "Glorot uniform (default)": [{}],
            "zeros": [{"kernel_initializer": "zeros"}],
            "N(0, 0.01)": [{"kernel_initializer": "normal", "kernel_stddev": 0.01}],
            "truncated normal, 0.05": [
                {"kernel_initializer": "truncated_normal", "kernel_stddev": 0.05}
            ],
            "Glorot normal": [{"kernel_initializer": "glorot_normal"}],
            "He normal": [{"kernel_initializer": "he_normal"}],
        },
    ),
    "schedule": Table(
        ABOUT_SMALL,
        1500,
        600,
        SMALL,
        {
            "constant": [{}],
            "exponential": [{"schedule": "exponential", "decay_steps": 60}],
            "quadratic": [{"schedule": "quadratic"}],
            "piecewise 1/3, 2/3": [{"schedule": "piecewise"}],
            "cosine": [{"schedule": "cosine"}],
            "plateau, patience 1": [{"schedule": "plateau", "plateau_patience": 1}],
        },
    ),
    "lrn": Table(
        "`cifar_lrn` with the settings of its text",
        None,
        3000,
        {
            "model": "cifar_lrn",
            "batch_size": 128,
            "optimizer": "adam",
            "learning_rate": 0.001,
            "schedule": "constant",
            "augment": DISTORTIONS,
        },
        {
            "as the text has it": [{}],
            "no LRN": [{"model_options": {"lrn": False}}],
            "no L2": [{"model_options": {"l2": 0.0}}],
            "no augmentation": [{"augment": CENTRE}],
        },
    ),
}


class Runs:
    """The runs below a folder: what each found, and how it is made."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args

    def folder(self, table: Table, options: Options, seed: int) -> Path:
        """Return the folder of a run, named by a digest of all that makes it."""
        made_of = {**table.base, **options, "steps": self.steps(table), "images": table.images}
        text = json.dumps([self._args.dataset, made_of, seed], sort_keys=True)
        name = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        return Path(self._args.work_dir) / name

    def steps(self, table: Table) -> int:
        """Return the steps of a run."""
        return self._args.steps or table.steps

    def found(self, table: Table, options: Options, seed: int) -> dict[str, float] | None:
        """Return the accuracy of a run on each of SPLITS; None if it is not finished."""
        path = self.folder(table, options, seed) / "figures.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def make(self, table: Table, options: Options, seed: int) -> None:
        """Train, unless the run is finished; exit if a signal stops it."""
        if self.found(table, options, seed) is not None:
            return
        folder, steps = self.folder(table, options, seed), self.steps(table)
        tenth = max(1, steps // 10)
        given = {**table.base, **options, "eval_steps": tenth, "eval_examples": 1000}
        given.update(steps=steps, summary_steps=tenth, checkpoint_steps=steps, max_to_keep=1)
        splits = self._splits(table.images)
        print(f"{options or 'plain'}, seed {seed} ...", file=sys.stderr, flush=True)
        pairs = tuple((split.images, split.labels) for split in splits)
        run_dir = str(folder / "run")
        with Train(data=pairs, save_dir=run_dir, seed=seed, quiet=True, **given) as train:
            result = train.train()
            if train.control.stop_signal is not None:
                sys.exit(128 + train.control.stop_signal)
            found = {split: train.evaluate(split, 5000)["accuracy"] for split in SPLITS[:2]}
        accuracies = {**found, "test": result["accuracy"]}
        write_atomically(folder / "figures.json", json.dumps(accuracies) + "\n")

    def chosen(self, table: Table, kind: str) -> Options | None:
        """Return the candidate with the best validation accuracy; None if one is not finished."""
        candidates = table.kinds[kind]
        if len(candidates) == 1:
            return candidates[0]
        found = [self.found(table, options, CHOICE_SEED) for options in candidates]
        if None in found:
            return None
        best = max(range(len(found)), key=lambda i: found[i]["validation"])  # type: ignore[index]
        return candidates[best]

    def _splits(self, images: int | None) -> list[Split]:
        """Return training, validation and test images; validation is a tenth of the training."""
        dataset = load_dataset(self._args.dataset, self._args.data_dir)
        order = np.random.default_rng(0).permutation(len(dataset.train.labels))
        held = len(order) // 10
        train = dataset.train
        parts = [order[held:][:images], order[:held]]
        return [*(Split(train.images[i], train.labels[i]) for i in parts), dataset.test]


def make_all(runs: Runs, tables: Iterable[Table], seeds: int) -> None:
    """Make the runs that are missing: first those that choose, then each kind once, and so on."""
    tables = list(tables)
    for table in tables:
        for candidates in table.kinds.values():
            for options in candidates if len(candidates) > 1 else ():
                runs.make(table, options, CHOICE_SEED)
    for seed in range(1, seeds + 1):
        for table in tables:
            for kind in table.kinds:
                options = runs.chosen(table, kind)
                assert options is not None
                runs.make(table, options, seed)


def read_table(runs: Runs, table: Table, seeds: int) -> dict[str, Any]:
    """Return what the finished runs of a table found, and with which machine, versions and commit.

    These are those that the runs record.
    """
    rows, made = [], []
    for kind, candidates in table.kinds.items():
        options = runs.chosen(table, kind)
        if options is None:
            continue
        found = [runs.found(table, options, seed) for seed in range(1, seeds + 1)]
        done = [seed for seed, figures in enumerate(found, 1) if figures]
        made += [read_provenance(runs.folder(table, options, seed) / "run") for seed in done]
        tried = [(o, runs.found(table, o, CHOICE_SEED)) for o in candidates if len(candidates) > 1]
        rows.append(
            {
                "kind": kind,
                "options": options,
                "tried": [{"options": o, **figures} for o, figures in tried if figures],
                "seeds": [figures for figures in found if figures],
            }
        )
    about = {"about": table.about, "images": table.images, "steps": runs.steps(table)}
    rows = [row for row in rows if row["seeds"]]
    return {**about, **(joined_provenance(made) if rows else {}), "seeds": seeds, "rows": rows}


def write_report(tables: Mapping[str, Any], out: Path) -> None:
    """Write the JSON file, the page and the plot.

    A table that has no runs here stays as it is in the file, and so does one with the same figures:
    runs of earlier versions do not record what they were made with.
    """
    for folder in (out / "results", out / "docs"):
        folder.mkdir(parents=True, exist_ok=True)
    path = out / "results" / "ablations.json"
    earlier = json.loads(path.read_text(encoding="utf-8"))["tables"] if path.exists() else {}
    kept = {title: table for title, table in earlier.items() if table.get("rows")}
    for title, table in tables.items():
        if table["rows"] and table["rows"] != kept.get(title, {}).get("rows"):
            kept[title] = table
    if not kept:
        sys.exit("error: no run is finished, so there is nothing to report")
    results = {"tables": {title: kept[title] for title in TABLES if title in kept}}
    write_atomically(path, json.dumps(results, indent=1) + "\n")
    (out / "docs" / "ablations.md").write_text(markdown(results), encoding="utf-8")
    plot(results, out / "docs" / "ablations.png")


def main() -> None:
    """Make the runs that are missing, then write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="./data", help="folder of the data files")
    parser.add_argument("--dataset", default="cifar10", help="data set of 32x32 images")
    parser.add_argument("--work_dir", default="./save/ablations", help="folder of the runs")
    parser.add_argument("--steps", type=int, help="steps of each run; default: those of its table")
    parser.add_argument("--seeds", type=int, default=MEASURED_SEEDS, help="runs of each kind")
    parser.add_argument(
        "--tables",
        default="regularization,initialization,schedule",
        help=f"tables to train, of {','.join(TABLES)}",
    )
    parser.add_argument("--report_only", action="store_true", help="train nothing")
    parser.add_argument("--out", default=".", help="folder of results/ and docs/")
    args = parser.parse_args()
    if unknown := set(args.tables.split(",")) - set(TABLES):
        sys.exit(f"error: --tables: no {', '.join(sorted(unknown))}; known: {', '.join(TABLES)}")
    runs = Runs(args)
    if not args.report_only:
        make_all(runs, (TABLES[title] for title in args.tables.split(",")), args.seeds)
    tables = {title: read_table(runs, table, args.seeds) for title, table in TABLES.items()}
    write_report(tables, Path(args.out))


if __name__ == "__main__":
    main()
