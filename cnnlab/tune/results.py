"""The results of a search: for programs, as a table for people, and the best trial's recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab.base.files import write_atomically
from cnnlab.base.safe_text import for_terminal
from cnnlab.config.config import Config
from cnnlab.config.options import as_dict, build, fields_of
from cnnlab.config.terminal import render_table
from cnnlab.config.yaml_text import dump_yaml
from cnnlab.tune.crew import Plan, trial_name
from cnnlab.tune.dimensions import short
from cnnlab.tune.study import Row

RECIPE_FILE = "best.yaml"
_ALWAYS_WRITTEN = ("dataset", "model", "batch_size", "optimizer", "learning_rate", "seed")


def best_of(rows: Sequence[Row], metric: str) -> Row | None:
    """Return the complete trial with the best metric, the first of equal ones.

    None: no trial is complete.
    """
    complete = [row for row in rows if row.state == "complete" and row.value is not None]
    sign = 1 if metric == "accuracy" else -1
    return max(complete, key=lambda row: sign * (row.value or 0), default=None)


def summarize(rows: Sequence[Row], plan: Plan, *, study: str, is_done: bool) -> dict[str, Any]:
    """Return the results for programs; `--json` prints them.

    Args:
        rows: the trials.
        plan: what all trials have in common.
        study: the name of the study.
        is_done: whether all trials have ended.

    Returns:
        study, metric, finished, best, and trials. best is None if no trial is complete; otherwise
        it has trial, params, value, test_accuracy and recipe. Each of trials has trial, state,
        params, value, and, as far as known, step, seconds and error. Only the best trial has a test
        accuracy, so that nobody chooses a trial by the test set.
    """
    best = best_of(rows, plan.metric)
    return {
        "study": study,
        "metric": f"validation {plan.metric}",
        "finished": is_done,
        "best": best
        and {
            "trial": best.number,
            "params": plan.space.named(best.point),
            "value": best.value,
            "test_accuracy": best.facts.get("test_accuracy"),
            "recipe": str(plan.folder / RECIPE_FILE),
        },
        "trials": [
            {
                "trial": row.number,
                "state": row.state,
                "params": plan.space.named(row.point),
                "value": row.value,
                **{n: row.facts[n] for n in ("step", "seconds", "error") if n in row.facts},
            }
            for row in rows
        ],
    }


def table(summary: Mapping[str, Any]) -> str:
    """Return the trials as a table for people, the best first."""
    sign = -1 if summary["metric"].endswith("accuracy") else 1
    states = ("complete", "pruned", "running", "waiting", "failed")

    def rank(trial: Mapping[str, Any]) -> tuple[int, float]:
        return states.index(trial["state"]), sign * (trial["value"] or 0)

    trials = sorted(summary["trials"], key=rank)
    names = list(trials[0]["params"]) if trials else []
    columns = ["trial", "state", summary["metric"], *names, "seconds"]
    rows = [
        [
            str(trial["trial"]),
            trial["state"],
            "" if trial["value"] is None else f"{trial['value']:.4f}",
            *(short(trial["params"][name]) for name in names),
            f"{trial['seconds']:.0f}" if "seconds" in trial else "",
        ]
        for trial in trials
    ]
    return render_table(columns, rows, left_columns=len(columns))


def describe_best(summary: Mapping[str, Any], log_dir: Path) -> str:
    """Return the line about the best trial."""
    best = summary["best"]
    if best is None:
        return "no trial is complete"
    return (
        f"best: trial {best['trial']}, {summary['metric']} {best['value']:.4f}"
        f"{_test_accuracy(best)}; recipe {best['recipe']}; tensorboard --logdir={log_dir}"
    )


def _test_accuracy(facts: Mapping[str, Any]) -> str:
    """Return the test accuracy in words; nothing of real values, which have none."""
    found = facts["test_accuracy"]
    return "" if found is None else f", test accuracy {found:.4f}"


def write_recipe(best: Row, plan: Plan, *, study: str, ended: int) -> Path:
    """Write the best trial's options as a recipe; training with it repeats the trial.

    Args:
        best: the trial.
        plan: what all trials have in common.
        study: the name of the study.
        ended: the number of trials that the best was chosen from.

    Returns:
        the path of the recipe.

    Raises:
        CnnlabError: the file cannot be written.
    """
    config = build(Config, plan.space.apply(plan.options, best.point))
    defaults = as_dict(Config())
    fields = fields_of(Config)
    shaping = [
        name
        for name, field in fields.items()
        if field.json_schema_extra["shapes_result"] or name in ("steps", "epochs")
    ]
    varied = {name for dimension in plan.space.dimensions for name in dimension.names}
    values = {
        name: value
        for name, value in as_dict(config).items()
        if name in shaping and (value != defaults[name] or name in {*_ALWAYS_WRITTEN, *varied})
    }
    path = plan.folder / RECIPE_FILE
    assert best.value is not None
    heading = (
        f"# Source: trial {best.number} of the study {study}, the best of {ended}; it was trained "
        f"in {trial_name(best.number)}.",
        f"# Command: python -m cnnlab.train --config={path}",
        f"# Expected: validation {plan.metric} {best.value:.4f}{_test_accuracy(best.facts)}",
    )
    body = dump_yaml(values, default_flow_style=None)
    # A newline in a name would end the comment.
    write_atomically(path, "\n".join([*map(for_terminal, heading), body]))
    return path
