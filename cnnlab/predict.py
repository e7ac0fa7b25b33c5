"""Predict the class of image files: a function, and the command `python -m cnnlab.predict`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab import cli
from cnnlab.data.images import load_image
from cnnlab.data.training_data import TrainingData
from cnnlab.errors import UsageError
from cnnlab.inference import TrainedModel
from cnnlab.options import STRICT, Options, option, replace
from cnnlab.resolve import load_config
from cnnlab.training.options import TTA_HELP, Tta


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class PredictOptions(Options):
    """Options of `python -m cnnlab.predict`."""

    save_dir: str = option("./save", "run directory with the weights", group="run", min_length=1)
    checkpoint: str = option("latest", "latest, best or the number of a step", group="run")
    tta: Tta | None = option(None, f"{TTA_HELP}; the run's own unless given", group="run")
    data_dir: str | None = option(
        None,
        "of runs with --verify_data=False: folder of the data files; the run's own unless given",
        group="data",
    )
    device: str | None = option(
        None, "auto, cpu, gpu or gpu:N; the run's own unless given", group="device"
    )
    top: int = option(3, "classes to name for each image", unit="classes", group="output", ge=1)


def predict(
    files: Sequence[str],
    save_dir: str = "./save",
    *,
    checkpoint: str = "latest",
    top: int = 3,
    tta: str | None = None,
    data_dir: str | None = None,
    device: str | None = None,
) -> list[dict[str, Any]]:
    """Predict the class of image files.

    Args:
        files: paths of images of any size.
        save_dir: a run directory.
        checkpoint: "latest", "best" or the number of a step.
        top: how many classes to name for each.
        tta: test-time augmentation, "none", "mirror" or "mirror_shift", if not as the run has it.
        data_dir: where the data files are, if the run's own (verify_data=False) are not where it
            had them; without such, predicting needs no data.
        device: "auto", "cpu", "gpu" or "gpu:N", if not as the run has it.

    Returns:
        for each file: file, class, probability, and top, a list of {class, probability} in
        descending order.

    Raises:
        CnnlabError: no such run or checkpoint, or a file that is no image.
    """
    given = {"tta": tta, "data_dir": data_dir, "device": device}
    changes = {name: value for name, value in given.items() if value is not None}
    config = replace(load_config(save_dir), **changes)
    spec = TrainingData(config, None).spec
    images = np.stack([load_image(file, spec.image_shape) for file in files])
    with TrainedModel(save_dir, config, spec, checkpoint) as trained:
        probabilities = trained.predict(images)
    answers = []
    for file, row in zip(files, probabilities, strict=True):
        order = np.argsort(-row, kind="stable")[:top]
        best = [
            {"class": spec.class_names[index], "probability": float(row[index])} for index in order
        ]
        answers.append({"file": str(file), **best[0], "top": best})
    return answers


def main(words: Sequence[str] | None = None) -> None:
    """The command `python -m cnnlab.predict`."""
    cli.run(
        _predict_command,
        PredictOptions,
        words,
        usage="python -m cnnlab.predict FILE... [--save_dir=DIR] [--name=value ...]",
        about="Predict the class of image files with the weights of a run.",
        takes_words=True,
    )


def _predict_command(options: PredictOptions, files: tuple[str, ...]) -> list[dict[str, Any]]:
    if not files:
        raise UsageError("name at least one image file: python -m cnnlab.predict FILE...")
    answers = predict(
        files,
        options.save_dir,
        checkpoint=options.checkpoint,
        top=options.top,
        tta=options.tta,
        data_dir=options.data_dir,
        device=options.device,
    )
    if not options.json:
        for answer in answers:
            classes = ", ".join(f"{c['class']} {c['probability']:.3f}" for c in answer["top"])
            print(f"{answer['file']}: {classes}")
    return answers


if __name__ == "__main__":
    main()
