"""Repeat the results of the recipes: a function, and the command `python -m cnnlab.reproduce`."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.machine import joined_provenance
from cnnlab.base.own_functions import describe, importable
from cnnlab.config import cli
from cnnlab.config.config import Config
from cnnlab.config.options import STRICT, Options, build, option
from cnnlab.config.recipes import load_about, recipe_paths
from cnnlab.config.resolve import resolve
from cnnlab.data.training_data import TrainingData
from cnnlab.models import ModelFunction, check_model_options
from cnnlab.reproduce.earlier_run import check_fits, difference, options_of_run, steps_made
from cnnlab.reproduce.table import Table, row_of
from cnnlab.run.disk.config_file import load_config, read_provenance
from cnnlab.run.disk.metrics_file import read_metrics
from cnnlab.run.own_code import find_any_model
from cnnlab.train import Train

QUICK_STEPS = 20
_QUICK_DIR = "quick"


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class ReproduceOptions(Options):
    """Options of `python -m cnnlab.reproduce`."""

    list: bool = option(
        False,
        "do not train; show which steps are done, and how long the others will take on this "
        "machine",
        group="what",
    )
    quick: bool = option(
        False,
        f"train each recipe for {QUICK_STEPS} steps only, to check that it runs and to measure its "
        "speed for --list",
        group="what",
    )
    seeds: int = option(
        1,
        "number of runs of each recipe, with the seeds 1, 2, ...",
        unit="runs",
        group="what",
        ge=1,
    )
    model: str | None = option(
        None,
        "your model instead of the recipes', as FILE.py:NAME; its rows are named RECIPE+NAME",
        default_text="that of each recipe",
        group="what",
    )
    save_dir: str = option(
        "./save/reproduce", "folder of the run directories", group="run", is_path=True, min_length=1
    )
    data_dir: str = option(
        "./data",
        "folder of the data files; missing files are downloaded into it",
        group="run",
        is_path=True,
        min_length=1,
    )
    out: str = option(
        "./results/reproduction.json",
        "JSON file with the table of results; new results are added",
        group="run",
        is_path=True,
        min_length=1,
    )


def reproduce(
    names: Sequence[str] = (), *, model: str | ModelFunction | None = None, **options: Any
) -> list[dict[str, Any]]:
    """Train recipes to their end, and write the results to a table.

    A call resumes the runs that an earlier call left unfinished.

    Args:
        names: recipes that come with cnnlab, or paths of YAML files; empty: all that come with it.
        model: your own model instead of the recipes', as its function or as FILE.py:NAME.
        **options: those of the command: quick, seeds, save_dir, data_dir, out.

    Returns:
        a row for each recipe, as `cnnlab.reproduce.table.row_of` returns it.

    Raises:
        UsageError: a recipe or an option does not exist.
        CnnlabError: a run failed.
        SystemExit: a signal stopped a run; the results of finished recipes are in the table.
    """
    if model is not None:
        options["model"] = importable(describe(model), "model") if callable(model) else model
    checked = build(ReproduceOptions, options)
    return list(run_recipes(check_names(names, checked.model), checked))


def check_names(names: Sequence[str], model: str | None = None) -> list[str]:
    """Return the names, or those of all recipes if there is none.

    Args:
        names: recipes, or paths of YAML files.
        model: the model instead of the recipes'.

    Raises:
        UsageError: a recipe does not exist, or its options are wrong.
    """
    known = recipe_paths()
    for name in names:
        if name not in known and not name.endswith((".yaml", ".yml")):
            raise UsageError(f"unknown recipe {name}{nearest(name, known) or '; see --list'}")
    chosen = list(names or known)
    for name in chosen:
        config: Config = resolve(_of_recipe(name, model))
        check_model_options(find_any_model(config.model), config.model_options)
        load_about(name)
    return chosen


def run_recipes(names: Sequence[str], options: ReproduceOptions) -> Iterator[dict[str, Any]]:
    """Train each recipe with each seed, and yield its row of the table.

    The row is written to the table when all seeds are done, but not with `quick`. It has the
    options, machine, versions and commit that the runs record, since a run may have been finished
    by an earlier call.

    Raises:
        CnnlabError: a run directory holds a run of other settings or another length. This is found
            before any training.
    """
    table = Table(Path(options.out))
    table.check_writable()
    seeds = range(1, options.seeds + 1)
    for name, seed in itertools.product(names, seeds):
        check_fits(_run_dir(name, seed, options), resolve(_given(name, seed, options)))
    for name in names:
        results, made = [], []
        for seed in seeds:
            given, run_dir = _given(name, seed, options), _run_dir(name, seed, options)
            with Train(**given) as train:
                train.say(f"{name}, seed {seed}")
                result = train.train()
                if train.control.stop_signal is not None:
                    raise cli.Exit(128 + train.control.stop_signal, None)
                tta = load_config(run_dir).tta  # the recipe may have another one since
                others = {} if options.quick else _other_figures(train, result, tta)
            speed = _images_per_sec(run_dir)
            results.append({"seed": seed, "images_per_sec": speed, **result, **others})
            made.append(read_provenance(run_dir))
            used = options_of_run(name, run_dir, resolve(given))
        about = load_about(name) if options.model is None else {}
        where = {"tta": tta, "options": used, **joined_provenance(made)}
        row = row_of(_label(name, options), about, results, where)
        if not options.quick:
            table.put(row)
        yield row


def _other_figures(train: Train, result: Mapping[str, Any], tta: str) -> dict[str, float]:
    """Return figures of a finished run that its result does not have under these names.

    Args:
        train: the run.
        result: its result.
        tta: the test-time views of the result.

    Returns:
        train_accuracy and train_loss, on the whole training set as evaluation computes it: without
        dropout, augmentation and test-time views. test_loss, on the test set without views. With
        views also accuracy_without_views. What needs another evaluation is missing if the result is
        of the best weights, which need not be those of the session.
    """
    found = {"test_loss": result["loss"]} if tta == "none" else {}
    if result.get("weights") == "best":
        return found
    train.say("measuring the figures on the training set")
    trained = train.evaluate("train", tta="none")
    found |= {"train_accuracy": trained["accuracy"], "train_loss": trained["loss"]}
    if tta != "none":
        tested = train.evaluate("test", tta="none")
        found |= {"accuracy_without_views": tested["accuracy"], "test_loss": tested["loss"]}
    return found


def _run_dir(name: str, seed: int, options: ReproduceOptions) -> Path:
    folder = Path(options.save_dir)
    folder = folder / _QUICK_DIR if options.quick else folder
    return folder / _label(name, options) / f"seed-{seed}"


def _label(name: str, options: ReproduceOptions) -> str:
    """Return the name of a recipe's row and folder."""
    stem = Path(name).stem if name.endswith((".yaml", ".yml")) else name
    return stem if options.model is None else f"{stem}+{options.model.rpartition(':')[2]}"


def _of_recipe(name: str, model: str | None) -> dict[str, Any]:
    return {"config": name} if model is None else {"config": name, "model": model}


def _given(name: str, seed: int, options: ReproduceOptions) -> dict[str, Any]:
    """Return the options of one run."""
    run_dir = _run_dir(name, seed, options)
    given = _of_recipe(name, options.model)
    given.update(seed=seed, data_dir=options.data_dir)
    given["save_dir"] = str(run_dir)
    if options.quick:
        given.update(steps=QUICK_STEPS, summary_steps=QUICK_STEPS // 2)
    return given


def _images_per_sec(run_dir: Path) -> float | None:
    """Return the median throughput of a run so far; None if it was not measured yet.

    The first measurement is left out, if there are others: it includes the start.
    """
    speeds = [line["images_per_sec"] for line in read_metrics(run_dir) if line["split"] == "train"]
    return statistics.median(speeds[1:] or speeds) if speeds else None


def progress_of(name: str, options: ReproduceOptions) -> dict[str, Any]:
    """Return how many steps of a recipe are done, and how long the others will take.

    The estimate uses the throughput of the recipe's runs so far, or else that of its --quick run.
    It does not include the evaluations.

    Returns:
        system (the name), claimed and reached (accuracy in [0, 1] or None), steps, steps_made, and
        seconds_left (None: no throughput was measured). The steps are those of all seeds together.
    """
    config: Config = resolve(_of_recipe(name, options.model))
    steps = config.total_steps(TrainingData(config, None).epoch_size) * options.seeds
    made, speeds = 0, []
    for seed in range(1, options.seeds + 1):
        run_dir = _run_dir(name, seed, options)
        if difference(run_dir, resolve(_given(name, seed, options))) is None:
            made += steps_made(run_dir)
        speeds.append(_images_per_sec(run_dir))
    speeds.append(
        _images_per_sec(Path(options.save_dir) / _QUICK_DIR / _label(name, options) / "seed-1")
    )
    speed = next(filter(None, speeds), None)
    left = (steps - made) * config.batch_size
    label = _label(name, options)
    row = next((row for row in Table(Path(options.out)).rows() if row["system"] == label), None)
    return {
        "system": label,
        "claimed": None if options.model else load_about(name).get("claimed"),
        "reached": row and row["reached"],
        "steps": steps,
        "steps_made": made,
        "seconds_left": 0.0 if not left else left / speed if speed else None,
    }
