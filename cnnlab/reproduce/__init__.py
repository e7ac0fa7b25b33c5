"""Run recipes to their texts' figures: a function, and the command `python -m cnnlab.reproduce`."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.machine import commit, describe_machine, versions
from cnnlab.config import cli
from cnnlab.config.config import Config
from cnnlab.config.options import STRICT, Options, option
from cnnlab.config.recipes import load_about, recipe_paths
from cnnlab.config.resolve import resolve
from cnnlab.data.training_data import TrainingData
from cnnlab.models import check_model_options, find_model
from cnnlab.reproduce.table import Table, row_of
from cnnlab.run.disk.checkpoint import Checkpoints
from cnnlab.run.disk.metrics_file import read_metrics
from cnnlab.train import Train

QUICK_STEPS = 20
_QUICK_DIR = "quick"


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class ReproduceOptions(Options):
    """Options of `python -m cnnlab.reproduce`."""

    list: bool = option(
        False, "show what is done and how long the rest takes here; train nothing", group="what"
    )
    quick: bool = option(
        False,
        f"make {QUICK_STEPS} steps of each, to see that it runs and how long all would take",
        group="what",
    )
    seeds: int = option(
        1, "runs of each recipe, with the seeds 1, 2, ...", unit="runs", group="what", ge=1
    )
    save_dir: str = option(
        "./save/reproduce", "folder of the run directories", group="run", min_length=1
    )
    data_dir: str = option("./data", "folder of the data files", group="run", min_length=1)
    out: str = option(
        "./results/reproduction.json", "the table that results go into", group="run", min_length=1
    )


def reproduce(names: Sequence[str] = (), **options: Any) -> list[dict[str, Any]]:
    """Run recipes to their end, going on where an earlier call was stopped, and note the results.

    Args:
        names: recipes that come with cnnlab; all unless given.
        **options: of the command: quick, seeds, save_dir, data_dir, out.

    Returns:
        a row for each recipe, as `cnnlab.reproduce.table.row_of` makes it; those of recipes that a
        signal stopped, and of the ones after it, are missing.

    Raises:
        UsageError: no such recipe or option.
        CnnlabError: a run failed.
    """
    return list(_reproduced(_checked(names), ReproduceOptions(**options)))


def _checked(names: Sequence[str]) -> list[str]:
    """The names, or those of all recipes; what can be wrong with them is told before any run."""
    known = recipe_paths()
    for name in names:
        if name not in known:
            raise UsageError(f"unknown recipe {name}{nearest(name, known) or '; see --list'}")
    chosen = list(names or known)
    for name in chosen:
        config: Config = resolve({"config": name})
        check_model_options(find_model(config.model), config.model_options)
        load_about(name)
    return chosen


def _reproduced(names: Sequence[str], options: ReproduceOptions) -> Iterator[dict[str, Any]]:
    """Run each recipe with each seed; its row goes into the table once all its seeds are done."""
    table = Table(Path(options.out))
    table.check_writable()
    where = {"machine": describe_machine(), "versions": versions(), "commit": commit()}
    for name in names:
        results = []
        for seed in range(1, options.seeds + 1):
            with Train(**_given(name, seed, options)) as train:
                train.say(f"{name}, seed {seed}")
                result = train.train()
                if train.control.stop_signal is not None:
                    raise cli.Exit(128 + train.control.stop_signal, None)
            speed = _images_per_sec(_run_dir(name, seed, options))
            results.append({"seed": seed, "images_per_sec": speed, **result})
        row = row_of(name, load_about(name), results, where)
        if not options.quick:
            table.put(row)
        yield row


def _run_dir(name: str, seed: int, options: ReproduceOptions) -> Path:
    folder = Path(options.save_dir)
    return (folder / _QUICK_DIR if options.quick else folder) / name / f"seed-{seed}"


def _given(name: str, seed: int, options: ReproduceOptions) -> dict[str, Any]:
    """The options of one run."""
    run_dir = _run_dir(name, seed, options)
    given = {"config": name, "seed": seed, "data_dir": options.data_dir}
    given.update(save_dir=str(run_dir), log_dir=str(run_dir / "logs"))
    if options.quick:
        given.update(steps=QUICK_STEPS, summary_steps=QUICK_STEPS // 2)
    return given


def _images_per_sec(run_dir: Path) -> float | None:
    """The median over a run so far, its first measurement left out if there are more; None before
    the first."""
    speeds = [line["images_per_sec"] for line in read_metrics(run_dir) if line["split"] == "train"]
    return statistics.median(speeds[1:] or speeds) if speeds else None


def _state(name: str, options: ReproduceOptions) -> dict[str, Any]:
    """How far a recipe is, and how long the rest takes: by its own speed so far, or by --quick's.

    Evaluations are left out of the reckoning.
    """
    config: Config = resolve({"config": name})
    steps = config.total_steps(TrainingData(config, None).num_train) * options.seeds
    made, speeds = 0, []
    for seed in range(1, options.seeds + 1):
        run_dir = _run_dir(name, seed, options)
        made += max(Checkpoints(run_dir).steps(), default=0)
        speeds.append(_images_per_sec(run_dir))
    speeds.append(_images_per_sec(Path(options.save_dir) / _QUICK_DIR / name / "seed-1"))
    speed = next(filter(None, speeds), None)
    left = (steps - made) * config.batch_size
    row = next((row for row in Table(Path(options.out)).rows() if row["system"] == name), None)
    return {
        "system": name,
        "claimed": load_about(name).get("claimed"),
        "reached": row and row["reached"],
        "steps": steps,
        "steps_made": made,
        "seconds_left": 0.0 if not left else left / speed if speed else None,
    }
