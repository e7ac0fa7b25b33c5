"""Check which training options fit together, without importing TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlab.base.errors import UsageError
from cnnlab.base.own_functions import is_reference
from cnnlab.base.printing import print_lines
from cnnlab.config.augmentations import mixes_labels
from cnnlab.config.loss_options import LOSSES_OF, outputs_for
from cnnlab.config.run_options import RunOptions
from cnnlab.config.training_options import TrainingOptions
from cnnlab.config.update_options import DEFAULT_RATE, SCHEDULES_OF_LENGTH

# The optimizers that use an option.
USED_BY = {
    "momentum": ("momentum", "nesterov", "muon", "rmsprop"),
    "beta1": ("adam", "adamw"),
    "beta2": ("adam", "adamw"),
    "rho": ("rmsprop",),
    "epsilon": ("adam", "adamw", "rmsprop"),
}

_SMOOTHED = ("softmax", "sigmoid", "kl", "mse", "msle", "mae")


def contradictions(options: TrainingOptions) -> Iterator[str]:
    """Yield a message for each conflict between options, the most helpful first.

    Args:
        options: options whose single values are valid.
    """
    if options.steps is not None and options.epochs is not None:
        yield "--steps and --epochs both set the length of the run; give one of them"
    if options.heads is not None and not options.dataset.startswith("list:"):
        yield "--heads names columns of a table; it is for --dataset=list:FILE.csv"
    yield from _loss_contradictions(options, mixes_labels(options.augment))
    yield from _update_contradictions(options)
    yield from _schedule_contradictions(options)
    if options.eval_weights == "ema" and options.ema_decay is None:
        yield "--eval_weights=ema needs --ema_decay, as in --ema_decay=0.999"
    if options.eval_weights == "lookahead" and options.lookahead_steps is None:
        yield "--eval_weights=lookahead needs --lookahead_steps, as in --lookahead_steps=5"
    if options.lookahead_ramp and options.lookahead_steps is None:
        yield "--lookahead_ramp needs --lookahead_steps, as in --lookahead_steps=5"


def _loss_contradictions(options: TrainingOptions, mixing: str | None) -> Iterator[str]:
    loss, output, mode = options.loss, options.output, options.class_mode
    if mode is not None and loss not in LOSSES_OF[mode] and not is_reference(loss):
        yield (
            f"--class_mode={mode} does not fit --loss={loss}; use --loss="
            f"{' or '.join(LOSSES_OF[mode])}"
        )
    if output != "auto" and output not in outputs_for(loss, mode):
        binary = "with --class_mode=binary " * (mode == "binary")
        yield (
            f"{binary}--loss={loss} does not fit --output={output}; use --output="
            f"{' or '.join(outputs_for(loss, mode))}"
        )
    remedy = "use --loss=softmax"
    if loss == "sparse_softmax":
        if mixing:
            yield (
                f"--loss=sparse_softmax takes class indices only, but {mixing} mixes labels; "
                f"{remedy}"
            )
        if options.label_smoothing:
            yield f"--loss=sparse_softmax takes class indices only, not smoothed labels; {remedy}"
    elif options.label_smoothing and is_reference(loss):
        yield (
            f"--label_smoothing does not act on --loss={loss}; smooth the labels in your function"
        )
    elif options.label_smoothing and loss not in _SMOOTHED:
        yield f"--label_smoothing does not fit --loss={loss}; {remedy}"
    if mixing and options.batch_size < 2:
        yield f"{mixing} mixes the images of a batch, so --batch_size must be at least 2"
    weights = options.class_weights
    if weights == "balanced" and options.sampling != "shuffle":
        yield (
            f"--class_weights=balanced and --sampling={options.sampling} both even out the "
            "classes, which overdoes it; use one of them"
        )
    factors = weights.values() if isinstance(weights, dict) else weights
    if factors is not None and factors != "balanced":
        if any(not 0 <= float(factor) < float("inf") for factor in factors):
            yield f"--class_weights={weights}: every factor must be >= 0"
        elif isinstance(weights, list) and not any(weights):
            yield f"--class_weights={weights}: at least one factor must be above 0"
    if options.head_weights is not None:
        if any(not 0 <= factor < float("inf") for factor in options.head_weights.values()):
            yield f"--head_weights={options.head_weights}: every factor must be >= 0"
        elif is_reference(loss):
            yield (
                f"--head_weights does not act on --loss={loss}; multiply the losses of the heads "
                "in your function"
            )


def _update_contradictions(options: TrainingOptions) -> Iterator[str]:
    for name, optimizers in USED_BY.items():
        if getattr(options, name) is not None and options.optimizer not in optimizers:
            yield (
                f"--{name} has no meaning with --optimizer={options.optimizer}; it is for "
                f"{', '.join(optimizers)}"
            )
    if options.optimizer == "adamw" and options.weight_decay_mode == "coupled":
        yield "--optimizer=adamw has decoupled weight decay; for coupled decay use --optimizer=adam"
    if options.batch_size % options.micro_batches:
        yield (
            f"--micro_batches={options.micro_batches} does not divide "
            f"--batch_size={options.batch_size}"
        )


def _schedule_contradictions(options: TrainingOptions) -> Iterator[str]:
    if is_reference(options.schedule):
        rest = f"has no effect with --schedule={options.schedule}, whose rate is used as it is"
        if options.warmup_steps:
            yield f"--warmup_steps={options.warmup_steps} {rest}; write the warm-up into it"
        if options.learning_rate != DEFAULT_RATE:
            yield (
                f"--learning_rate={options.learning_rate} {rest}; leave it out (the default is "
                f"{DEFAULT_RATE})"
            )
    boundaries, factors = options.boundaries, options.boundary_factors
    if any(b <= 0 for b in boundaries) or sorted(set(boundaries)) != boundaries:
        yield f"--boundaries={boundaries} must be above 0 and ascending"
    if any(b < 1 for b in boundaries) and any(b >= 1 for b in boundaries):
        yield f"--boundaries={boundaries} mix fractions (below 1) and steps (from 1 on)"
    if any(b >= 1 and b != int(b) for b in boundaries):
        yield f"--boundaries={boundaries}: steps must be whole numbers"
    if factors is not None and len(factors) != len(boundaries):
        yield (
            f"--boundary_factors={factors} has {len(factors)} for {len(boundaries)} boundaries; "
            "give one factor per boundary"
        )
    if factors is not None and any(not 0 <= factor < float("inf") for factor in factors):
        yield f"--boundary_factors={factors}: every factor must be >= 0"
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


def check_eval_part(options: RunOptions) -> None:
    """Refuse eval_part=next where it does nothing; say so where it compares different images.

    This is no contradiction of a Config: the runs that have it stay readable.

    Raises:
        UsageError: each evaluation takes all images.
    """
    if options.eval_part == "first":
        return
    if options.eval_examples is None:
        raise UsageError(
            "--eval_part=next has no meaning without --eval_examples, as in --eval_examples=500: "
            "each evaluation takes all images"
        )
    comparing = {
        "--schedule=plateau": options.schedule == "plateau",
        "--early_stopping": options.early_stopping is not None,
        "--restore_best": options.restore_best,
    }
    if found := [name for name, is_given in comparing.items() if is_given]:
        compare = "compares" if len(found) == 1 else "compare"
        print_lines(
            f"note: with --eval_part=next, {' and '.join(found)} {compare} figures of different "
            "images; --eval_part=first takes the same ones in each evaluation",
            to_stderr=True,
        )
