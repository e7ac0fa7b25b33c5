"""Evaluate a trained run: a function, and the command `python -m cnnlab.evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab import cli
from cnnlab.data.training_data import TrainingData
from cnnlab.inference import TrainedModel
from cnnlab.metrics import per_class_figures
from cnnlab.options import STRICT, Options, as_dict, option, replace
from cnnlab.resolve import load_config
from cnnlab.training.options import TTA_HELP, Tta


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluateOptions(Options):
    """Options of `python -m cnnlab.evaluate`."""

    save_dir: str = option("./save", "run directory to evaluate", group="run", min_length=1)
    checkpoint: str = option("latest", "latest, best or the number of a step", group="run")
    split: Literal["test", "validation", "train"] = option("test", "which images", group="data")
    data_dir: str | None = option(
        None, "folder of the data files; the run's own unless given", group="data"
    )
    batch_size: int | None = option(
        None, "images a session run; the run's own unless given", unit="images", group="run", ge=1
    )
    tta: Tta | None = option(None, f"{TTA_HELP}; the run's own unless given", group="run")
    device: str | None = option(
        None, "auto, cpu, gpu or gpu:N; the run's own unless given", group="device"
    )


def evaluate(
    save_dir: str = "./save",
    *,
    checkpoint: str = "latest",
    split: str = "test",
    data_dir: str | None = None,
    batch_size: int | None = None,
    tta: str | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """Evaluate the weights of a run on every image of a split.

    Args:
        save_dir: a run directory.
        checkpoint: "latest", "best" or the number of a step.
        split: "test", "validation" or "train".
        data_dir: where the data files are, if not where the run had them.
        batch_size: images a session run, if not as the run has it.
        tta: test-time augmentation, "none", "mirror" or "mirror_shift", if not as the run has it.
        device: "auto", "cpu", "gpu" or "gpu:N", if not as the run has it.

    Returns:
        accuracy, loss, top5_accuracy, n, step, split, confusion_matrix (int, rows: truth, columns:
        prediction) and per_class (see `cnnlab.metrics.per_class_figures`).

    Raises:
        CnnlabError: no such run or checkpoint, or the data cannot be read.
    """
    given = {
        "data_dir": data_dir,
        "eval_batch_size": batch_size,
        "tta": tta,
        "device": device,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    config = replace(load_config(save_dir), **changes)
    data = TrainingData(config, None)
    with TrainedModel(save_dir, config, data.spec, checkpoint) as trained:
        sums = trained.evaluate(data.split(split))
    return {
        **sums.result(),
        "step": trained.step,
        "split": split,
        "confusion_matrix": sums.confusion.tolist(),
        "per_class": per_class_figures(sums.confusion, data.spec.class_names),
    }


def main(words: Sequence[str] | None = None) -> None:
    """The command `python -m cnnlab.evaluate`."""
    cli.run(
        _evaluate_command,
        EvaluateOptions,
        words,
        usage="python -m cnnlab.evaluate [--save_dir=DIR] [--name=value ...]",
        about="Evaluate a trained run on all images of a split.",
    )


def _evaluate_command(options: EvaluateOptions, _words: tuple[str, ...]) -> dict[str, Any]:
    given = {
        name: value for name, value in as_dict(options).items() if name not in ("json", "debug")
    }
    figures = evaluate(**given)
    if not options.json:
        print(report(figures))
    return figures


def report(figures: Mapping[str, Any]) -> str:
    """The figures as a table for people."""
    lines = [
        f"step {figures['step']}, {figures['n']} {figures['split']} images: "
        f"accuracy {figures['accuracy']:.4f}, top-5 {figures['top5_accuracy']:.4f}, "
        f"loss {figures['loss']:.4f}"
    ]
    width = max(len(row["name"]) for row in figures["per_class"])
    lines.append(f"{'class':<{width}}  precision  recall      f1")
    lines += [
        f"{row['name']:<{width}}     {row['precision']:.4f}  {row['recall']:.4f}  {row['f1']:.4f}"
        for row in figures["per_class"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
