"""The words of options: the field's names for them, and how messages name them.

`ALIASES` are other names of options, which flags, recipes and Python accept. `MEANT` only helps to
explain an error: `cnnlab.base.errors.nearest` looks a word up here before it compares letters.

Every message is written with flags, as in `--learning_rate=-1 is not valid`. `worded` turns them
into Python's arguments, as in `learning_rate=-1 is not valid`, unless a command is running.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Another name of an option, and the option.
ALIASES: Final = {
    "accumulate_steps": "micro_batches",
    "batch": "batch_size",
    "bs": "batch_size",
    "epoch": "epochs",
    "keep_checkpoint_every_n_hours": "keep_every_hours",
    "lr": "learning_rate",
    "wd": "weight_decay",
}

# A word, and what it may mean here, the most likely first. An option may have a value.
MEANT: Final[dict[str, tuple[str, ...]]] = {
    # Options.
    "amp": ("precision=float16",),
    "architecture": ("model",),
    "checkpoint_dir": ("save_dir",),
    "criterion": ("loss",),
    "data_augmentation": ("augment",),
    "decay": ("weight_decay",),
    "dropout": ('model_options={"dropout": 0.5}',),
    "dropout_rate": ('model_options={"dropout": 0.5}',),
    "ema": ("ema_decay",),
    "fp16": ("precision=float16",),
    "gamma": ("decay_rate",),
    "gpu": ("device=gpu",),
    "grad_clip": ("clip_norm",),
    "gradient_clip": ("clip_norm",),
    "init": ("kernel_initializer",),
    "l2_reg": ("l2",),
    "label_smooth": ("label_smoothing",),
    "loss_weights": ("head_weights",),
    "lookahead": ("lookahead_steps",),
    "lr_decay": ("decay_rate",),
    "lr_schedule": ("schedule",),
    "lr_scheduler": ("schedule",),
    "mixed_precision": ("precision=float16",),
    "net": ("model",),
    "network": ("model",),
    "normalization": ("scaling=normalize",),
    "num_epochs": ("epochs",),
    "num_steps": ("steps",),
    "num_workers": ("inter_op_threads",),
    "num_outputs": ("class_mode",),
    "output_dir": ("save_dir",),
    "output_units": ("class_mode",),
    "patience": ("early_stopping",),
    "recipe": ("config",),
    "regularization": ("l2",),
    "rescale": ("scaling",),
    "resume": ("save_dir",),
    "scheduler": ("schedule",),
    "target_size": ("image_size",),
    "threads": ("intra_op_threads",),
    "val_split": ("validation_split",),
    "warmup": ("warmup_steps",),
    "weight_init": ("kernel_initializer",),
    "y_col": ("heads",),
    # Models.
    "cnn": ("cifar_cnn",),
    "densenet": ("densenet121",),
    "googlenet": ("inception_v1",),
    "inception": ("inception_v3",),
    "lenet": ("lenet5",),
    "linear": ("mnist_perceptron", "polynomial"),
    "mlp": ("mnist_mlp",),
    "perceptron": ("mnist_perceptron",),
    "resnet": ("resnet20",),
    "vgg": ("vgg16",),
    # Data sets.
    "cifar": ("cifar10",),
    "fashion": ("fashion_mnist",),
    # Optimizers, losses, schedules.
    "nag": ("nesterov",),
    "sgdm": ("momentum",),
    "bce": ("sigmoid",),
    "binary_crossentropy": ("sigmoid",),
    "categorical_crossentropy": ("softmax",),
    "cross_entropy": ("softmax",),
    "crossentropy": ("softmax",),
    "nll": ("softmax",),
    "sparse_categorical_crossentropy": ("sparse_softmax",),
    "cosine_annealing": ("cosine",),
    "multistep": ("piecewise",),
    "reduce_on_plateau": ("plateau",),
    "step": ("piecewise",),
    # Activations and initializers.
    "kaiming": ("he_normal",),
    "kaiming_normal": ("he_normal",),
    "kaiming_uniform": ("he_uniform",),
    "silu": ("swish",),
    "xavier": ("glorot_uniform",),
    "xavier_normal": ("glorot_normal",),
    "xavier_uniform": ("glorot_uniform",),
    # Augmentations.
    "color_jitter": ("brightness",),
    "crop": ("pad_and_crop",),
    "horizontal_flip": ("flip",),
    "mirror": ("flip",),
    "noise": ("gaussian_noise",),
    "rotation": ("rotate",),
}

_FLAG: Final = re.compile(r"(?<![\w-])--([a-z]\w*)(?![\w-])([=:]?)")
# What a message says to type in a shell is the same in Python, up to the end of the clause.
_SHELL: Final = re.compile(r"((?:python -m|\bcnnlab|tensorboard) [^,;]*)")

_is_command = False


@contextmanager
def words_of_a_command() -> Iterator[None]:
    """Leave the flags in messages as they are, because a command prints them."""
    global _is_command
    before, _is_command = _is_command, True
    try:
        yield
    finally:
        _is_command = before


def worded(text: str) -> str:
    """Return a message in the words of its reader: `--name=1` in a command, else `name=1`."""
    if _is_command:
        return text
    parts = _SHELL.split(text)
    parts[::2] = [_FLAG.sub(lambda flag: flag[1] + (flag[2] or "="), part) for part in parts[::2]]
    return "".join(parts)
