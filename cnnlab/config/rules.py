"""Which training options make sense together. No TensorFlow: a mistake costs no start-up."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlab.config.augmentations import mixes_labels
from cnnlab.config.loss_options import OUTPUTS
from cnnlab.config.training_options import SCHEDULES_OF_LENGTH, TrainingOptions

# Optimizers that an option has a meaning for, and what to use instead where it has none.
USED_BY = {
    "momentum": ("momentum", "nesterov", "muon", "rmsprop"),
    "beta1": ("adam", "adamw"),
    "beta2": ("adam", "adamw"),
    "rho": ("rmsprop",),
    "epsilon": ("adam", "adamw", "rmsprop"),
}

_SMOOTHED = ("softmax", "sigmoid", "kl", "mse", "msle", "mae")


def contradictions(options: TrainingOptions) -> Iterator[str]:
    """Say what makes no sense together, most telling first.

    Args:
        options: with valid single values.
    """
    if options.steps is not None and options.epochs is not None:
        yield "--steps and --epochs both set the length of the run; give one of them"
    yield from _loss_contradictions(options, mixes_labels(options.augment))
    yield from _update_contradictions(options)
    yield from _schedule_contradictions(options)
    if options.eval_weights == "ema" and options.ema_decay is None:
        yield "--eval_weights=ema wants --ema_decay, as in --ema_decay=0.999"
    if options.eval_weights == "lookahead" and options.lookahead_steps is None:
        yield "--eval_weights=lookahead wants --lookahead_steps, as in --lookahead_steps=5"
    if options.lookahead_ramp and options.lookahead_steps is None:
        yield "--lookahead_ramp wants --lookahead_steps, as in --lookahead_steps=5"
    if options.restore_best and options.validation_split == 0:
        yield (
            "--restore_best without --validation_split would choose the weights by the test set; "
            "give one, as in --validation_split=0.1"
        )


def _loss_contradictions(options: TrainingOptions, mixing: str | None) -> Iterator[str]:
    loss, output = options.loss, options.output
    if output != "auto" and output not in OUTPUTS[loss]:
        yield (
            f"--loss={loss} makes no sense with --output={output}; it goes with "
            f"{' or '.join(OUTPUTS[loss])}"
        )
    takes_soft = "take --loss=softmax"
    if loss == "sparse_softmax":
        if mixing:
            yield (
                f"--loss=sparse_softmax has class indices only, but {mixing} mixes labels; "
                f"{takes_soft}"
            )
        if options.label_smoothing:
            yield f"--loss=sparse_softmax has class indices only, no smooth labels; {takes_soft}"
    elif options.label_smoothing and loss not in _SMOOTHED:
        yield f"--label_smoothing makes no sense with --loss={loss}; {takes_soft}"
    if mixing and options.batch_size < 2:
        yield f"{mixing} mixes images of a batch; --batch_size=1 has nothing to mix"
    weights = options.class_weights
    factors = weights.values() if isinstance(weights, dict) else weights
    if factors is not None and factors != "balanced":
        if any(not 0 <= float(factor) < float("inf") for factor in factors):
            yield f"--class_weights={weights}: every factor is >= 0"
        elif isinstance(weights, list) and not any(weights):
            yield f"--class_weights={weights}: at least one factor is above 0"


def _update_contradictions(options: TrainingOptions) -> Iterator[str]:
    for name, optimizers in USED_BY.items():
        if getattr(options, name) is not None and options.optimizer not in optimizers:
            yield (
                f"--{name} has no meaning with --optimizer={options.optimizer}; it is for "
                f"{', '.join(optimizers)}"
            )
    if options.optimizer == "adamw" and options.weight_decay_mode == "coupled":
        yield "--optimizer=adamw is Adam with decoupled decay; for coupled take --optimizer=adam"
    if options.batch_size % options.accumulate_steps:
        yield (
            f"--accumulate_steps={options.accumulate_steps} does not divide "
            f"--batch_size={options.batch_size}"
        )


def _schedule_contradictions(options: TrainingOptions) -> Iterator[str]:
    boundaries, factors = options.boundaries, options.boundary_factors
    if any(b <= 0 for b in boundaries) or sorted(set(boundaries)) != boundaries:
        yield f"--boundaries={boundaries} are not above 0 and ascending"
    if any(b < 1 for b in boundaries) and any(b >= 1 for b in boundaries):
        yield f"--boundaries={boundaries} mix shares (below 1) and steps (from 1 on)"
    if any(b >= 1 and b != int(b) for b in boundaries):
        yield f"--boundaries={boundaries}: steps are whole numbers"
    if factors is not None and len(factors) != len(boundaries):
        yield (
            f"--boundary_factors={factors} are {len(factors)} for {len(boundaries)} boundaries; "
            "give one for each"
        )
    if factors is not None and any(not 0 <= factor < float("inf") for factor in factors):
        yield f"--boundary_factors={factors}: every factor is >= 0"
    length = options.schedule_steps or (None if options.epochs else options.steps)
    if options.schedule in SCHEDULES_OF_LENGTH and length and options.warmup_steps >= length:
        yield (
            f"--warmup_steps={options.warmup_steps} leaves nothing of the {length} steps for "
            f"--schedule={options.schedule}"
        )
    if options.schedule == "plateau" and options.plateau_min_rate > options.learning_rate:
        yield (
            f"--plateau_min_rate={options.plateau_min_rate} is above "
            f"--learning_rate={options.learning_rate}"
        )
