"""What makes no sense is refused with a message, in a process that never loads TensorFlow."""

import json
import subprocess
import sys
from typing import Any

import pytest

from cnnlab.base.errors import UsageError
from cnnlab.config import options
from cnnlab.config.config import Config
from cnnlab.config.resolve import resolve

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"loss": "sigmoid", "output": "softmax"}, "--loss=sigmoid makes no sense with --output=soft"),
    ({"loss": "softmax", "output": "sigmoid"}, "--loss=softmax makes no sense with --output=sigm"),
    ({"loss": "hinge", "output": "softmax"}, "it goes with linear"),
    ({"loss": "msle", "output": "linear"}, "it goes with softmax or sigmoid"),
    (
        {"loss": "sparse_softmax", "augment": ["flip", "mixup"]},
        "--loss=sparse_softmax has class indices only, but mixup mixes labels; take --loss=softmax",
    ),
    ({"loss": "sparse_softmax", "augment": [{"cutmix": {"alpha": 1}}]}, "but cutmix mixes labels"),
    ({"loss": "sparse_softmax", "label_smoothing": 0.1}, "no smooth labels; take --loss=softmax"),
    ({"loss": "hinge", "label_smoothing": 0.1}, "--label_smoothing makes no sense with --loss=hin"),
    ({"augment": ["mixup"], "batch_size": 1}, "--batch_size=1 has nothing to mix"),
    ({"class_weights": [1, -1]}, "every factor is >= 0"),
    ({"class_weights": [0, 0]}, "at least one factor is above 0"),
    (
        {"optimizer": "sgd", "momentum": 0.9},
        "--momentum has no meaning with --optimizer=sgd; it is",
    ),
    ({"optimizer": "momentum", "beta1": 0.9}, "--beta1 has no meaning with --optimizer=momentum"),
    ({"optimizer": "adam", "rho": 0.9}, "--rho has no meaning with --optimizer=adam"),
    ({"optimizer": "adamw", "weight_decay_mode": "coupled"}, "for coupled take --optimizer=adam"),
    ({"accumulate_steps": 3}, "--accumulate_steps=3 does not divide --batch_size=500"),
    ({"parameter_groups": {"(": 1}}, "( is no regular expression"),
    ({"parameter_groups": {"bias": {"decay": 1}}}, "bias has decay; a group has rate, weight_d"),
    ({"parameter_groups": {"bias": {"steps": 1.5}}}, "the steps of bias are 1.5, not a whole nu"),
    ({"parameter_groups": {"bias": -1}}, "the rate factor of bias is -1.0, not >= 0"),
    ({"boundaries": [0.5, 0.2]}, "are not above 0 and ascending"),
    ({"boundaries": [0.5, 20]}, "mix shares (below 1) and steps (from 1 on)"),
    ({"boundaries": [2.5]}, "steps are whole numbers"),
    ({"boundary_factors": [0.1]}, "are 1 for 2 boundaries; give one for each"),
    ({"schedule": "cosine", "warmup_steps": 90, "steps": 80}, "leaves nothing of the 80 steps"),
    ({"schedule": "plateau", "plateau_min_rate": 1}, "--plateau_min_rate=1.0 is above"),
    ({"eval_weights": "ema"}, "--eval_weights=ema wants --ema_decay"),
    ({"eval_weights": "lookahead"}, "--eval_weights=lookahead wants --lookahead_steps"),
    ({"lookahead_ramp": True}, "--lookahead_ramp wants --lookahead_steps"),
    ({"restore_best": True}, "would choose the weights by the test set"),
    ({"clip_norm": 0}, "--clip_norm=0 is not valid"),
    ({"label_smoothing": 1}, "--label_smoothing=1 is not valid"),
    ({"ema_decay": 1}, "--ema_decay=1 is not valid"),
    ({"kernel_initializer": "he"}, "--kernel_initializer=he is not valid"),
    ({"loss": "crossentropy"}, "--loss=crossentropy is not valid"),
    ({"schedule": "linear"}, "--schedule=linear is not valid"),
    ({"early_stopping": 0}, "--early_stopping=0 is not valid"),
    ({"tta": "flip"}, "--tta=flip is not valid"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED, ids=lambda value: str(value)[:50])
def test_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve(given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_names_what_is_nearest() -> None:
    with pytest.raises(
        UsageError, match=r"unknown option --warmup_step .*did you mean --warmup_st"
    ):
        options.check_names({"warmup_step": 3}, Config, "the command line")


COMMANDS: list[tuple[list[str], str]] = [
    (["--loss=sigmoid", "--output=softmax"], "makes no sense with --output=softmax"),
    (["--augment=[flip, {cutout: {size: 0}}]"], "cutout: size=0 is not valid"),
    (["--augment=[{random_crop: {size: 40}}]"], "random_crop of 40 from images of 32 x 32"),
    (["--augment=[standardize]", "--scaling=zca"], "ends in standardize, but --scaling=zca"),
    (["--class_weights=[1, 2]"], "--class_weights has 2 factors for 10 classes"),
    (["--class_weights={tiger: 2}"], "no class tiger; the classes are airplane"),
    (["--model_options={batch_norm: middle}"], "'none', 'before' or 'after'"),
    (["--model_options={dropout: 2}"], "dropout=2 is not valid: less than 1"),
    (["--epochs=1", "--schedule=cosine", "--warmup_steps=100"], "leaves nothing of the 100"),
]


def test_the_command_refuses_without_tensorflow() -> None:
    """In one line each, with exit code 2; all in one process, which is started once."""
    program = """
import json, sys
from cnnlab import train
for flags in json.loads(sys.argv[1]):
    try:
        train.main(flags)
    except SystemExit as end:
        assert end.code == 2, flags
assert 'tensorflow' not in sys.modules
"""
    flags = json.dumps([flags for flags, _ in COMMANDS])
    done = subprocess.run(
        [sys.executable, "-c", program, flags], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(COMMANDS)
    for line, (_, message) in zip(lines, COMMANDS, strict=True):
        assert message in line


def test_help_has_the_formulas() -> None:
    text = " ".join(options.help_text(Config, "", "").split())
    assert "E + (R - E) (1 + cos(pi min(s, T) / T)) / 2" in text
    assert "R decay_rate^(s / decay_steps)" in text
    assert "R (s + 1) / W for s < W" in text
