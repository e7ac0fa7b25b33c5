"""Search for the best options of a run: a function, and the command `python -m cnnlab.tune`."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import free_name
from cnnlab.base.own_functions import describe, importable
from cnnlab.base.printing import print_lines
from cnnlab.config.options import fields_of
from cnnlab.config.resolve import resolve
from cnnlab.data.folders.picture_set import targets_by_name
from cnnlab.data.target_options import fitted_to_targets
from cnnlab.models import ModelFunction
from cnnlab.run.disk.config_file import CONFIG_FILE
from cnnlab.run.disk.lock import locked
from cnnlab.run.disk.log_folder import is_of_another_run
from cnnlab.train import Train
from cnnlab.tune.options import DEFAULT_TRIALS, TuneOptions
from cnnlab.tune.space import Point, Space

if TYPE_CHECKING:
    from cnnlab.tune.crew import Plan
    from cnnlab.tune.study import Study

STUDY_FILE = "study.db"
TRIAL_PATTERN = "trial-[0-9]*"


def tune(
    space: Mapping[str, Any] | str | None = None,
    *,
    model: str | ModelFunction | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Train trials with varied options, or resume the study in save_dir.

        tune({"dense_units": [16, 32], "dropout": [0.1, 0.2]}, config="tune_mnist", workers=2)

    Each trial is a separate run in SAVE_DIR/trial-NNNN, and its result depends on its options only.
    So a study that was stopped or killed ends as if it had not been interrupted.

    Args:
        space: what varies, as in `--space`; or the path of a YAML file. Default: the space of the
            recipe that `config` names.
        model: your own model as a function, if a file that can be imported has it.
        **options: the options of `python -m cnnlab.tune`; see its `--help`.

    Returns:
        what `--json` prints; see `cnnlab.tune.results.summarize`.

    Raises:
        UsageError: an option is wrong, or save_dir holds another study.
        CnnlabError: Optuna is not installed, no trial is complete, or data, disk or database fail.
    """
    if model is not None:
        options["model"] = importable(describe(model), "model") if callable(model) else model
    if space is not None:
        options["space"] = space
    return run_search(resolve(options, TuneOptions))


def run_search(options: TuneOptions) -> dict[str, Any]:
    """Run the trials, or those that are left; see `tune`."""
    if (targets := targets_by_name(options)) == "values" and options.metric == "accuracy":
        raise UsageError(
            "--metric=accuracy: the labels are real values, which have no accuracy; use "
            "--metric=loss"
        )
    options = fitted_to_targets(options, targets, {})
    space, run_options = options.parsed_space(), options.run_options()
    space.check(run_options, _check)
    grid = _make_grid(options, space, run_options)
    if (options.folder / CONFIG_FILE).exists():
        raise UsageError(f"{options.folder} holds a run, not a study; {_other_folder(options)}")
    if options.storage is None:
        _check_log_dir(options)
    if importlib.util.find_spec("optuna") is None:
        raise CnnlabError("tune needs Optuna: pip install 'cnnlab[tune]'")
    if options.validation_split == 0:
        split = run_options["validation_split"]
        _say(f"holding out {split:.0%} of the training images for validation")

    from cnnlab.tune.crew import Crew, Plan  # here, because importing Optuna takes a second

    total = options.trials or (DEFAULT_TRIALS if grid is None else len(grid))
    plan = Plan(
        options=run_options,
        space=space,
        total=total if grid is None else min(total, len(grid)),
        metric=options.metric,
        prunes=options.pruner != "none",
        folder=options.folder,
        log_dir=options.resolved_log_dir,
        max_secs=options.max_secs,
    )
    with locked(plan.folder):
        study = _open_study(options, plan, grid)
        if not study.is_done(plan.total):
            Crew(study, plan, _say).run(min(options.workers, plan.total))
        return _conclude(study, plan, options.study_name)


def _open_study(options: TuneOptions, plan: Plan, grid: list[Point] | None) -> Study:
    """Open or create the study in its database, and check that the folder belongs to it."""
    from cnnlab.tune.study import Study

    folder = plan.folder.resolve()
    sampler = "tpe" if options.sampler == "auto" else options.sampler
    if grid is not None:
        sampler = "grid"
    study = Study(
        options.storage or folder / STUDY_FILE,
        options.study_name,
        identity=_identity(options, plan.options, sampler),
        space=plan.space,
        grid=grid,
        sampler=sampler,
        pruner=options.pruner,
        seed=options.seed,
        metric=options.metric,
        owner=f"{platform.node()}:{folder}",
        is_private=options.storage is None,
        overwrite=options.overwrite,
    )
    if options.overwrite:
        # The curves first: a trial's config.yaml says whose they are.
        for place in (plan.log_dir, plan.folder):
            for path in place.glob(TRIAL_PATTERN):
                shutil.rmtree(path)
    elif not study.rows() and any(plan.folder.glob(TRIAL_PATTERN)):
        raise UsageError(
            f"{plan.folder} holds the trials of another study; {_other_folder(options)}"
        )
    return study


def _check_log_dir(options: TuneOptions) -> None:
    """Raise UsageError if log_dir holds event files of the trials of another study."""
    log_dir, folder = options.resolved_log_dir, options.folder
    if options.overwrite and log_dir == folder / "logs":
        return
    for path in sorted(log_dir.glob(TRIAL_PATTERN)):
        if is_of_another_run(path, folder / path.name):
            raise UsageError(
                f"{log_dir} holds event files of another study; choose another folder, such as "
                f"--log_dir={free_name(str(log_dir))}"
            )


def _other_folder(options: TuneOptions) -> str:
    return f"choose another folder, such as --save_dir={free_name(options.save_dir)}"


def _conclude(study: Study, plan: Plan, name: str) -> dict[str, Any]:
    """Write the recipe of the best trial, and return the results so far."""
    from cnnlab.tune.results import best_of, summarize, write_recipe

    rows, is_done = study.rows(), study.is_done(plan.total)
    best = best_of(rows, plan.metric)
    if best is not None:
        ended = sum(row.state in ("complete", "pruned", "failed") for row in rows)
        write_recipe(best, plan, study=name, ended=ended)
    elif is_done:
        errors = (row.facts["error"] for row in rows if "error" in row.facts)
        why = next(errors, "all were pruned")
        raise CnnlabError(f"none of the {plan.total} trials is complete; the first error: {why}")
    return summarize(rows, plan, study=name, is_done=is_done)


def _check(values: dict[str, Any]) -> None:
    """Check the options of a run, as far as that is possible without data and TensorFlow."""
    Train(**values)


def _make_grid(
    options: TuneOptions, space: Space, run_options: Mapping[str, Any]
) -> list[Point] | None:
    """Return the points of the grid; None if the search uses another sampler."""
    uses_grid = options.sampler == "grid"
    if options.sampler == "auto":
        uses_grid = space.is_finite and (
            options.trials is None or options.trials >= space.grid_size
        )
    if not uses_grid:
        return None
    points, left_out = space.grid(run_options, _check)
    if left_out:
        _say(left_out)
    return points


def _identity(options: TuneOptions, run_options: Mapping[str, Any], sampler: str) -> dict[str, Any]:
    """Return the options that may not change when a study is resumed, with their values."""
    fields = fields_of(TuneOptions)
    shaping = {
        name: value
        for name, value in run_options.items()
        if fields[name].json_schema_extra["shapes_result"] or name in ("steps", "epochs")
    }
    search = {"space": options.given_space(), "pruner": options.pruner, "metric": options.metric}
    return {**search, "sampler": sampler, **shaping}


def _say(text: str) -> None:
    """Print a line of progress on stderr."""
    print_lines(text, to_stderr=True)
