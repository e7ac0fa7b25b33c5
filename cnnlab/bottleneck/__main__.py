"""The command `python -m cnnlab.bottleneck`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab.bottleneck import HEAD_DIR, run_bottleneck
from cnnlab.bottleneck.options import BottleneckOptions, resolve_options
from cnnlab.config import cli
from cnnlab.run.metrics.shown import in_words


def main(words: Sequence[str] | None = None) -> None:
    """Run the command `python -m cnnlab.bottleneck`."""
    cli.run(
        _bottleneck_command,
        BottleneckOptions,
        words,
        usage="python -m cnnlab.bottleneck --init_from=imagenet|FILE|RUN [--config=RECIPE] "
        "[--name=value ...]",
        about="Train a head on the features that a trained network computes once for each image, "
        "and join\nboth to one run, which the other commands use like any other.",
        resolve=resolve_options,
    )


def describe_result(result: Mapping[str, Any], options: BottleneckOptions) -> str:
    """Return some lines about the result."""
    if not result["finished"]:
        return f"stopped at step {result['step']}, saved; the same command goes on"
    facts, folder = result["bottleneck"], options.save_dir
    lines = [
        f"{options.head} on {facts['features']} features: test "
        f"{in_words(result, options.metrics)} on {result['n']} images; features "
        f"{facts['features_secs']:.1f} s, head {facts['head_secs']:.1f} s"
    ]
    if "times_faster" in facts:
        lines.append(
            f"a step of the head takes {facts['head_step_secs']:.4f} s, through the frozen base "
            f"{facts['base_step_secs']:.4f} s: {facts['times_faster']:,.1f} times as long"
        )
    if options.head == "random_forest":
        lines.append(
            f"figures in {folder}/result.json; a forest is no network, so it is not joined to the "
            "base: no other command can use it"
        )
    else:
        lines.append(f"base and head are joined in {folder}; cnnlab evaluate --save_dir={folder}")
    if options.head not in ("random_forest", "sklearn_svm"):
        lines.append(f"tensorboard --logdir={Path(folder) / HEAD_DIR / 'logs'}")
    return "\n".join(lines)


def _bottleneck_command(options: BottleneckOptions, _words: tuple[str, ...]) -> dict[str, Any]:
    result = run_bottleneck(options)
    signal = result.pop("signal", None)
    if not options.json:
        cli.say(describe_result(result, options))
    if signal is not None:
        raise cli.Exit(128 + signal, result)
    return result


if __name__ == "__main__":
    main()
