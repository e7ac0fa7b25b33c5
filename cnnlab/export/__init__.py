"""Export a trained run for programs without cnnlab: a function and `python -m cnnlab.export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import read_text, replace_folder, translate_os_errors, write_output
from cnnlab.config import options as opts
from cnnlab.config.options import STRICT, option
from cnnlab.config.own_code_options import OwnCodeOptions
from cnnlab.data.arrays import check_fitting_images
from cnnlab.data.training_data import TrainingData
from cnnlab.export.frozen_graph import frozen_graph
from cnnlab.export.interface import interface, keras_interface
from cnnlab.export.keras_model import build_keras_model, keras_file
from cnnlab.export.onnx import convert_to_onnx, load_converter
from cnnlab.export.program import Program, open_program
from cnnlab.export.saved_model import SAVED_MODEL_FILE, save_saved_model
from cnnlab.export.tflite import Precision, convert_to_tflite
from cnnlab.export.weights import network_weights
from cnnlab.models import ModelFunction
from cnnlab.run.disk.config_file import load_config, load_run_data
from cnnlab.run.disk.weights_file import weights_to_npz
from cnnlab.run.own_code import parts_of_run

Format = Literal["saved_model", "keras", "keras_weights", "tflite", "frozen", "onnx", "npz"]
DEFAULT_FOLDER = "export"  # in the run directory
_MAX_DESCRIPTION_BYTES = 10_000_000
_DEFAULT_NAMES = {
    "saved_model": "saved_model",
    "keras": "model.keras",
    "keras_weights": "model.weights.h5",
    "tflite": "model_{precision}.tflite",
    "frozen": "model.pb",
    "onnx": "model.onnx",
    "npz": "weights.npz",
}


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class ExportOptions(OwnCodeOptions):
    """Options of `python -m cnnlab.export`."""

    format: Format = option(
        "saved_model",
        "format to write\n"
        "saved_model: a folder for TensorFlow and TensorFlow Serving\n"
        "keras: a file with the whole model, which Keras 3 loads and can train on\n"
        "keras_weights: a file with its weights only, which Keras 3 loads into the same layers\n"
        "tflite: a file for TensorFlow Lite\n"
        "frozen: a GraphDef with the weights as constants\n"
        "onnx: an ONNX file, converted by tf2onnx\n"
        "npz: the weights only, as NumPy arrays",
        group="export",
    )
    out: str | None = option(
        None,
        "file to write; with --format=saved_model, the folder",
        default_text=f"in SAVE_DIR/{DEFAULT_FOLDER}",
        group="export",
        is_path=True,
        min_length=1,
    )
    precision: Precision = option(
        "float32",
        "precision of --format=tflite\n"
        "float16: half the file size; computes in float32\n"
        "int8: a quarter of the file size; computes in integers",
        group="export",
    )
    calibration_images: int = option(
        200,
        "for --precision=int8: training images to measure the ranges of the activations on",
        unit="images",
        group="export",
        ge=1,
    )
    overwrite: bool = option(False, "replace an earlier export", group="export")
    save_dir: str = option(
        "./save", "run directory with the weights", group="run", is_path=True, min_length=1
    )
    checkpoint: str = option(
        "latest", "checkpoint to export: latest, best or the number of a step", group="run"
    )
    data_dir: str | None = option(
        None,
        "for --precision=int8: folder of the data files",
        default_text="that of the run",
        group="data",
        is_path=True,
    )


def export(
    save_dir: str | Path = "./save",
    format: Format = "saved_model",
    out: str | Path | None = None,
    *,
    model: str | ModelFunction | None = None,
    images: npt.ArrayLike | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Write the network of a run in a format that can be used without cnnlab.

    The export contains the weights that `evaluate` uses. It computes the same as `predict` without
    test-time augmentation. Its input is images, uint8 [batch, height, width, channels], range
    [0, 255]; float32 if the run's images have another range. Its outputs are probabilities,
    float32 [batch, num_classes], and classes, int64 [batch]. With several labels an image, they are
    probabilities only; with real values, values, float32 [batch, num_values]. With several heads,
    each output has the name of a head, and its probabilities.

    Args:
        save_dir: a run directory.
        format: saved_model, keras, keras_weights, tflite, frozen, onnx or npz.
        out: the file to write, or the folder of a SavedModel; None: in save_dir/export.
        model: your own model, as its function or as FILE.py:NAME; default: the run's own copy.
        images: for precision int8, the images to measure the ranges of the activations on, such as
            those of training. Default: training images of the data set that the run names.
        **options: the other options of the command; see `ExportOptions`.

    Returns:
        A mapping with these keys. For a format that is one file, it is also written to FILE.json.

        - format, out, step, bytes and class_names
        - heads, only with several of them: name to the names of its classes
        - variables, only with npz: name to shape
        - inputs and outputs, with all other formats: name to dtype and shape, where None means any
          size. With frozen and onnx they also have the name of the tensor.
        - layers, only with keras and keras_weights: the names of the model's layers. The last but
          one gives the logits, if there are not several heads.
        - precision, only with tflite

    Raises:
        UsageError: an option is wrong, or `out` exists.
        CnnlabError: the run or the checkpoint does not exist, or the network cannot be converted.
    """
    given = {"save_dir": save_dir, "format": format, "out": out, **options}
    given["model"] = None if callable(model) else model
    return _export(opts.build(ExportOptions, given), model, images)


def _export(
    options: ExportOptions,
    model: str | ModelFunction | None,
    images: npt.ArrayLike | None,
) -> dict[str, Any]:
    if options.precision != "float32" and options.format != "tflite":
        raise UsageError(f"--precision={options.precision} needs --format=tflite")
    config = load_config(options.save_dir)
    if options.data_dir is not None:
        config = opts.replace(config, data_dir=options.data_dir)
    out = _free_path(options)
    if options.format == "onnx":
        load_converter()  # so that its absence is reported before anything is computed
    parts = parts_of_run(config, model, trust=options.trust)
    data = load_run_data(config)
    calibration = None
    if options.precision == "int8":
        calibration = _calibration_images(options, config.seed, data, images)
    with open_program(options.save_dir, config, data.spec, parts, options.checkpoint) as program:
        answer: dict[str, Any] = {
            "format": options.format,
            "out": str(out),
            "step": program.step,
            "class_names": list(program.spec.class_names),
        }
        if program.spec.heads:
            answer["heads"] = {one.name: list(one.class_names) for one in program.spec.heads}
        if options.format == "saved_model":
            replace_folder(out, lambda folder: save_saved_model(program, folder))
            written = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
            answer |= interface(options.format, options.precision, program)
            return answer | {"bytes": written}
        if options.format == "npz":
            weights = network_weights(program)
            content = weights_to_npz(weights)
            answer["variables"] = {name: list(value.shape) for name, value in weights.items()}
        elif options.format in ("keras", "keras_weights"):
            keras_model = build_keras_model(program)
            content = keras_file(keras_model, only_weights=options.format == "keras_weights")
            answer |= keras_interface(keras_model)
        else:
            content = _model_file(options, program, calibration)
            answer |= interface(options.format, options.precision, program)
    answer["bytes"] = len(content)
    with translate_os_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    # The description first, so that no model is without one.
    write_output(_description_path(out), json.dumps(answer, indent=2) + "\n")
    write_output(out, content)
    return answer


def _free_path(options: ExportOptions) -> Path:
    """Return the path to write.

    Raises:
        UsageError: the path exists and may not be replaced.
    """
    name = _DEFAULT_NAMES[options.format].format(precision=options.precision)
    path = (
        Path(options.save_dir) / DEFAULT_FOLDER / name if options.out is None else Path(options.out)
    )
    is_folder = options.format == "saved_model"
    for existing in (path, *([] if is_folder else [_description_path(path)])):
        if not existing.exists() or _is_left(existing, path):
            continue
        if not options.overwrite:
            raise UsageError(f"{existing} exists; choose another --out, or --overwrite")
        # A mistyped --out must not delete a folder of other files.
        is_ours = (existing / SAVED_MODEL_FILE).is_file() if is_folder else existing.is_file()
        if not is_ours:
            kind = "SavedModel" if is_folder else "file"
            raise UsageError(f"{existing} is not a {kind}, so it is kept; choose another --out")
    return path


def _is_left(description: Path, path: Path) -> bool:
    """Return whether it is the description of an export that was stopped before its model."""
    if description == path or path.exists():
        return False
    try:
        written = json.loads(read_text(description, _MAX_DESCRIPTION_BYTES))
    except (ValueError, CnnlabError, OSError):
        return False
    return isinstance(written, dict) and {"format", "out", "step", "class_names"} <= set(written)


def _description_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _calibration_images(
    options: ExportOptions, seed: int, data: TrainingData, given: npt.ArrayLike | None
) -> npt.NDArray[Any]:
    """Return some of the given images, or of the training images."""
    if given is not None:
        images = check_fitting_images("given", given, data.spec)
    elif data.is_absent:
        raise UsageError(
            "--precision=int8 measures the network on training images, but those of this run are "
            "arrays of a script; pass them in Python: export(save_dir, ..., images=train_images)"
        )
    else:
        images = data.split("train").images
    order = np.random.default_rng(seed).permutation(len(images))
    return np.asarray(images[order[: options.calibration_images]])


def _model_file(
    options: ExportOptions, program: Program, calibration: npt.NDArray[Any] | None
) -> bytes:
    """Return the content of a tflite, frozen or onnx file."""
    if options.format == "frozen":
        return bytes(frozen_graph(program).SerializeToString())
    if options.format == "onnx":
        return convert_to_onnx(program)
    return convert_to_tflite(program, options.precision, calibration)
