"""Warm start: a new run that starts from the weights of another run or program, `--init_from`.

A variable of the network gets the value of the variable with the same name, type and shape there.
All others start as usual: layers of another shape, the optimizer's state and the step. So do the
statistics for the scaling, because they belong to the training set. Averages of the weights start
with the weights' values.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import free_name
from cnnlab.base.printing import print_as_is
from cnnlab.base.safe_text import for_terminal
from cnnlab.base.surroundings import building_in
from cnnlab.config.config import Config
from cnnlab.config.keras_networks import IMAGENET, SCALING_OF
from cnnlab.config.options import replace
from cnnlab.data.augment.recipe import scaling_of
from cnnlab.run.disk.checkpoint import Checkpoints
from cnnlab.run.disk.signatures import Signatures, belongs_to, listed, signatures_of
from cnnlab.run.disk.weight_sources import find_source, is_checkpoint

# Prefixes of the variables in a checkpoint that are not part of the network.
_STATE = (
    "global_step",
    "ema/",
    "lookahead/",
    "input_statistics/",
    "optimizer/",
    "plateau/",
    "rollbacks",
)


def with_init_step(config: Config) -> Config:
    """Return the options of a new run with the step of the checkpoint that it starts from.

    The step is saved with the run. If the run is killed before its first checkpoint, it starts from
    the same step again, even if the other run has continued by then.

    Raises:
        UsageError: init_from does not exist, or it is the run itself.
        CnnlabError: init_from has no checkpoint, or every one is damaged.
    """
    if config.init_from is None or config.init_from == IMAGENET:
        return config
    source = Path(config.init_from)
    is_prefix = not config.starts_from_file and not source.is_dir() and is_checkpoint(source)
    if not (source.is_file() if config.starts_from_file else source.is_dir() or is_prefix):
        kind = "file" if config.starts_from_file else "run directory"
        raise UsageError(f"--init_from={source}: there is no such {kind}")
    own = Path(config.save_dir).resolve()
    if own in (source.resolve(), *source.resolve().parents):
        raise UsageError(
            f"--init_from={source} is in the run's own --save_dir, {config.save_dir}; choose "
            f"another one, such as --save_dir={free_name(config.save_dir)}"
        )
    if is_prefix and config.init_step is not None:
        raise UsageError(f"--init_step has no meaning: --init_from={source} is a checkpoint")
    if config.starts_from_file or is_prefix or config.init_step is not None:
        return config
    step = Checkpoints(source).latest_intact()
    if step is None:
        raise CnnlabError(f"--init_from={source} holds no checkpoint")
    return replace(config, init_step=step)


def start_values(config: Config, variables: list[Any]) -> dict[Any, Any]:
    """Return the initial values that the network's variables get from init_from.

    What is loaded, and each variable that is not, is printed on stderr.

    Args:
        config: gives init_from and the other options of the same beginning, see `with_init_step`.
        variables: the network's variables, in the order of its layers.

    Returns:
        a feed of the initializers: initial value to array.

    Raises:
        UsageError: init_skip matches no variable, or there are no weights of Keras for the model.
        CnnlabError: init_from cannot be read, is damaged, or has no variable that fits.
    """
    if config.init_from is None:
        return {}
    ours = signatures_of(variables)
    skipped = {name for name in ours if config.init_skip and re.search(config.init_skip, name)}
    if config.init_skip and not skipped:
        raise UsageError(
            f"--init_skip={config.init_skip} matches no variable of this model; "
            f"{listed(list(ours), 'it has: ')}"
        )
    source = find_source(config, {name: signature.shape for name, signature in ours.items()})
    theirs = source.signatures()
    names = [
        name
        for name, signature in ours.items()
        if theirs.get(name) == signature and name not in skipped
    ]
    # A bias that happens to fit, such as that of the logits, is not the network.
    kernels = [name for name in ours if name not in skipped and len(ours[name].shape) > 1]
    if not names or (kernels and not set(kernels) & set(names)):
        raise CnnlabError(
            f"--init_from={config.init_from}: no {'kernel' if names else 'variable'} there "
            "has the name and shape of one of this model: "
            f"{listed(list(_network_part(theirs)), 'there: ')}; "
            f"{listed([name for name in ours if name not in skipped], 'here: ')}"
        )
    _say_what_is_loaded(config, theirs, ours, names, skipped)
    values = source.read(names)
    with building_in(variables[0].graph):
        return {v.initial_value: values[v.op.name] for v in variables if v.op.name in values}


def _network_part(signatures: Signatures) -> Signatures:
    """Return the signatures without those of the training state."""
    return {
        name: signature
        for name, signature in signatures.items()
        if not name.startswith(_STATE) and not belongs_to(name, signatures)
    }


def _say_what_is_loaded(
    config: Config, theirs: Signatures, ours: Signatures, names: list[str], skipped: set[str]
) -> None:
    """Print one line about what is loaded, and one for each variable that is not."""
    where = str(config.init_from)
    if config.init_step is not None:
        where += f", step {config.init_step}"
    lines = [f"starting from {where}: {len(names)} of {len(ours)} variables loaded"]
    for name, signature in ours.items():
        if name in skipped:
            lines.append(f"  not loaded: {name} matches --init_skip")
        elif name not in theirs:
            lines.append(f"  not loaded: {name} ({signature}) is not there")
        elif name not in names:
            lines.append(f"  not loaded: {name} is {theirs[name]} there, {signature} here")
    lines += [
        f"  not used: {name} ({signature}) is not in this model"
        for name, signature in sorted(_network_part(theirs).items())
        if name not in ours
    ]
    expected = SCALING_OF.get(config.model)
    if config.reads_keras and expected not in (None, scaling_of(config.augment, config.scaling)):
        lines.append(f"  note: weights from ImageNet expect --scaling={expected}")
    print_as_is("\n".join(map(for_terminal, lines)), to_stderr=True)
