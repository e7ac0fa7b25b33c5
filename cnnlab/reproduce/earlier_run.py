"""A run directory of a recipe: whether it can become the recipe's run, and what it ran with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError
from cnnlab.config.config import Config
from cnnlab.config.options import as_dict
from cnnlab.config.recipes import load_recipe
from cnnlab.config.resolve import changed_options, differing_options
from cnnlab.config.values import plain
from cnnlab.data.training_data import TrainingData
from cnnlab.run.disk.checkpoint import Checkpoints
from cnnlab.run.disk.config_file import load_config, read_facts
from cnnlab.run.disk.result_file import read_result


def steps_made(run_dir: Path) -> int:
    """Return the step of the newest checkpoint or of the result; 0 without them."""
    result = read_result(run_dir) or {"step": 0}
    return max(*Checkpoints(run_dir).steps(), result["step"], 0)


def difference(run_dir: Path, config: Config) -> str | None:
    """Return how a run differs from that of a recipe, so that it cannot become the recipe's.

    A shorter run can be trained on, but not if its learning rates follow a schedule of another
    length. `Train` alone would take both for the recipe's run, because an option that the recipe
    does not name keeps the run's value, and a length does not shape the weights.

    Args:
        run_dir: a run directory, which need not exist.
        config: the options of the recipe's run.

    Returns:
        what the run has, as a phrase; None if it can become the recipe's.
    """
    if not read_facts(run_dir):
        return None
    epoch_size = TrainingData(config, None).epoch_size
    made, steps = steps_made(run_dir), config.total_steps(epoch_size)
    if made > steps:
        return f"{made:,} steps, and the recipe has {steps:,}"
    then = load_config(run_dir)
    lengths = [options.schedule_length(epoch_size) for options in (then, config)]
    if config.depends_on_length and lengths[0] != lengths[1]:
        return f"a schedule of {lengths[0]:,} steps, and the recipe's has {lengths[1]:,}"
    # The run records these two where a recipe leaves them open.
    changed = set(differing_options(then, config)) - {"schedule_steps", "init_step"}
    return f"another value of {', '.join(sorted(changed))} than the recipe" if changed else None


def check_fits(run_dir: Path, config: Config) -> None:
    """Raise CnnlabError if a run cannot become the recipe's; see `difference`."""
    if (found := difference(run_dir, config)) is not None:
        raise CnnlabError(
            f"{run_dir} holds a run with {found}; delete the folder, or choose another --save_dir"
        )


def options_of_run(name: str, run_dir: Path, config: Config) -> dict[str, Any]:
    """Return the options of a recipe, with those that the run had instead.

    They can differ where the recipe was changed after the run, in options that do not shape its
    weights, as summary_steps and tta.

    Args:
        name: of the recipe.
        run_dir: a run that `check_fits` the recipe.
        config: the options that the recipe's run would have now.
    """
    then = load_config(run_dir)
    equal = {"steps", "epochs", *differing_options(then, config)}  # in another form, at most
    had = {name: as_dict(then)[name] for name in changed_options(then, config) if name not in equal}
    return {**load_recipe(name), **plain(had)}
