"""Options that do not fit together are refused, in a process that never loads TensorFlow."""

import json
import subprocess
import sys
from typing import Any

import pytest

from cnnlab.base.errors import UsageError
from cnnlab.config import options
from cnnlab.config.config import Config
from cnnlab.config.help import help_text
from cnnlab.config.resolve import resolve
from cnnlab.config.rules import check_eval_part

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"loss": "sigmoid", "output": "softmax"}, "--loss=sigmoid does not fit --output=softmax"),
    ({"loss": "softmax", "output": "sigmoid"}, "--loss=softmax does not fit --output=sigmoid"),
    ({"loss": "hinge", "output": "softmax"}, "use --output=linear"),
    ({"loss": "kl", "output": "linear"}, "use --output=softmax"),
    (
        {"loss": "sparse_softmax", "augment": ["flip", "mixup"]},
        "takes class indices only, but mixup mixes labels; use --loss=softmax",
    ),
    ({"loss": "sparse_softmax", "augment": [{"cutmix": {"alpha": 1}}]}, "but cutmix mixes labels"),
    ({"loss": "sparse_softmax", "label_smoothing": 0.1}, "not smoothed labels; use --loss=softmax"),
    ({"loss": "hinge", "label_smoothing": 0.1}, "--label_smoothing does not fit --loss=hinge"),
    ({"augment": ["mixup"], "batch_size": 1}, "so --batch_size must be at least 2"),
    ({"class_weights": [1, -1]}, "every factor must be >= 0"),
    ({"class_weights": [0, 0]}, "at least one factor must be above 0"),
    (
        {"optimizer": "sgd", "momentum": 0.9},
        "--momentum has no meaning with --optimizer=sgd; it is",
    ),
    ({"optimizer": "momentum", "beta1": 0.9}, "--beta1 has no meaning with --optimizer=momentum"),
    ({"optimizer": "adam", "rho": 0.9}, "--rho has no meaning with --optimizer=adam"),
    ({"optimizer": "adamw", "weight_decay_mode": "coupled"}, "coupled decay use --optimizer=adam"),
    ({"reduce": "ring", "reduce_dtype": "bfloat16"}, "bfloat16 needs --reduce=tree"),
    ({"micro_batches": 3}, "--micro_batches=3 does not divide --batch_size=500"),
    ({"parameter_groups": {"(": 1}}, "( is not a regular expression"),
    ({"parameter_groups": {"bias": {"decay": 1}}}, "bias has decay; it takes rate, weight_d"),
    ({"parameter_groups": {"bias": {"steps": 1.5}}}, "the steps of bias are 1.5, not a whole nu"),
    ({"parameter_groups": {"bias": -1}}, "the rate factor of bias is -1.0; it must be >= 0"),
    ({"boundaries": [0.5, 0.2]}, "must be above 0 and ascending"),
    ({"boundaries": [0.5, 20]}, "mix fractions (below 1) and steps (from 1 on)"),
    ({"boundaries": [2.5]}, "steps must be whole numbers"),
    ({"boundary_factors": [0.1]}, "has 1 for 2 boundaries; give one factor per boundary"),
    ({"schedule": "cosine", "warmup_steps": 90, "steps": 80}, "leaves nothing of the 80 steps"),
    ({"schedule": "plateau", "plateau_min_rate": 1}, "--plateau_min_rate=1.0 is above"),
    ({"eval_weights": "ema"}, "--eval_weights=ema needs --ema_decay"),
    ({"eval_weights": "lookahead"}, "--eval_weights=lookahead needs --lookahead_steps"),
    ({"lookahead_ramp": True}, "--lookahead_ramp needs --lookahead_steps"),
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
    (["--loss=sigmoid", "--output=softmax"], "does not fit --output=softmax"),
    (["--augment=[flip, {cutout: {size: 0}}]"], "cutout: size=0 is not valid"),
    (["--augment=[{random_crop: {size: 40}}]"], "random_crop of 40 from images of 32 x 32"),
    (["--augment=[standardize]", "--scaling=zca"], "ends in standardize, but --scaling=zca"),
    (["--class_weights=[1, 2]"], "--class_weights has 2 factors for 10 classes"),
    (["--class_weights={tiger: 2}"], "no class tiger; the classes are airplane"),
    (["--model_options={batch_norm: middle}"], "'none', 'before' or 'after'"),
    (["--model_options={dropout: 2}"], "dropout=2 is not valid: it must be less than 1"),
    (["--epochs=1", "--schedule=cosine", "--warmup_steps=100"], "leaves nothing of the 100"),
]


def test_the_command_refuses_without_tensorflow() -> None:
    """Each error is one line, with exit code 2. One process runs all cases, to save time."""
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
    text = " ".join(help_text(Config, "", "", "schedule").split())
    assert "E + (R - E) (1 + cos(pi min(s, T) / T)) / 2" in text
    assert "R decay_rate^(s / decay_steps)" in text
    assert "R (s + 1) / W for s < W" in text


def test_the_next_images_need_a_number_of_images(capsys: pytest.CaptureFixture[str]) -> None:
    given = {"eval_part": "next", "eval_examples": 5}
    check_eval_part(options.build(Config, {"early_stopping": 3}))
    check_eval_part(options.build(Config, given))
    assert capsys.readouterr().err == ""
    check_eval_part(options.build(Config, {**given, "early_stopping": 3, "restore_best": True}))
    said = capsys.readouterr().err
    assert "--early_stopping and --restore_best compare figures of different images" in said
    with pytest.raises(UsageError, match="--eval_part=next has no meaning without --eval_examples"):
        check_eval_part(options.build(Config, {"eval_part": "next"}))
