"""Export a trained run for use without cnnlab: a function, and the command
`python -m cnnlab.export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.base.files import replace_folder, translate_os_errors, write_atomically
from cnnlab.config import options as opts
from cnnlab.config.options import STRICT, Options, option
from cnnlab.data.training_data import TrainingData
from cnnlab.export.frozen_graph import frozen_graph
from cnnlab.export.onnx import convert_to_onnx, load_converter
from cnnlab.export.program import CLASSES, IMAGES, PROBABILITIES, Program, open_program
from cnnlab.export.saved_model import SAVED_MODEL_FILE, save_saved_model
from cnnlab.export.tflite import Precision, convert_to_tflite
from cnnlab.export.weights import network_weights
from cnnlab.run.disk.config_file import load_config, load_run_data
from cnnlab.run.disk.weights_file import weights_to_npz

Format = Literal["saved_model", "tflite", "frozen", "onnx", "npz"]
DEFAULT_FOLDER = "export"  # in the run directory
_DEFAULT_NAMES = {
    "saved_model": "saved_model",
    "tflite": "model_{precision}.tflite",
    "frozen": "model.pb",
    "onnx": "model.onnx",
    "npz": "weights.npz",
}


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class ExportOptions(Options):
    """Options of `python -m cnnlab.export`."""

    format: Format = option(
        "saved_model",
        "saved_model: a folder for TensorFlow; tflite: TensorFlow Lite; frozen: a GraphDef with "
        "constant weights; onnx: by tf2onnx; npz: the weights alone",
        group="export",
    )
    out: str | None = option(
        None,
        f"file or folder to write; SAVE_DIR/{DEFAULT_FOLDER}/ and a name unless given",
        group="export",
        min_length=1,
    )
    precision: Precision = option(
        "float32",
        "of tflite: float16 halves the file, int8 quarters it and computes in integers",
        group="export",
    )
    calibration_images: int = option(
        200,
        "of int8: training images from which the activations' ranges are learned",
        unit="images",
        group="export",
        ge=1,
    )
    overwrite: bool = option(False, "replace what an earlier export wrote there", group="export")
    save_dir: str = option("./save", "run directory with the weights", group="run", min_length=1)
    checkpoint: str = option("latest", "latest, best or the number of a step", group="run")
    data_dir: str | None = option(
        None, "of int8: folder of the data files; the run's own unless given", group="data"
    )


def export(
    save_dir: str = "./save",
    format: Format = "saved_model",
    out: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Write a run's network in a form that needs no cnnlab.

    It holds the weights that `evaluate` uses, and computes what `predict` does, without test-time
    augmentation: images uint8 [batch, height, width, channels], range [0, 255], to probabilities
    float32 [batch, num_classes] and classes int64 [batch].

    Args:
        save_dir: a run directory.
        format: saved_model, tflite, frozen, onnx or npz.
        out: the file, or for saved_model the folder, to write; in save_dir/export unless given.
        **options: precision, calibration_images, overwrite, checkpoint and data_dir, as the flags.

    Returns:
        format, out, step, bytes and class_names; with npz variables (name to shape), with the
        others inputs and outputs (name to dtype and shape, where None is any size, and with frozen
        and onnx the tensor's name); with tflite precision. Beside a single file the same is written
        as FILE.json.

    Raises:
        UsageError: a wrong option, or there is something at `out`.
        CnnlabError: no such run or checkpoint, or the network cannot be converted.
    """
    given = {"save_dir": save_dir, "format": format, "out": out, **options}
    return _export(opts.build(ExportOptions, given))


def _export(options: ExportOptions) -> dict[str, Any]:
    if options.precision != "float32" and options.format != "tflite":
        raise UsageError(f"--precision={options.precision} is for --format=tflite alone")
    config = load_config(options.save_dir)
    if options.data_dir is not None:
        config = opts.replace(config, data_dir=options.data_dir)
    out = _free_path(options)
    if options.format == "onnx":
        load_converter()  # its absence is told before anything is computed
    data = load_run_data(config)
    with open_program(options.save_dir, config, data.spec, options.checkpoint) as program:
        answer: dict[str, Any] = {
            "format": options.format,
            "out": str(out),
            "step": program.step,
            "class_names": list(program.spec.class_names),
        }
        if options.format == "saved_model":
            replace_folder(out, lambda folder: save_saved_model(program, folder))
            written = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
            return answer | _interface(options, program) | {"bytes": written}
        if options.format == "npz":
            weights = network_weights(program)
            content = weights_to_npz(weights)
            answer["variables"] = {name: list(value.shape) for name, value in weights.items()}
        else:
            content = _model_file(options, program, data)
            answer |= _interface(options, program)
    answer["bytes"] = len(content)
    with translate_os_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    # The description first: where the model is, its description is too.
    write_atomically(_description_path(out), json.dumps(answer, indent=2) + "\n")
    write_atomically(out, content)
    return answer


def _free_path(options: ExportOptions) -> Path:
    """Where to write.

    Raises:
        UsageError: there is something that may not be replaced.
    """
    name = _DEFAULT_NAMES[options.format].format(precision=options.precision)
    path = (
        Path(options.save_dir) / DEFAULT_FOLDER / name if options.out is None else Path(options.out)
    )
    is_folder = options.format == "saved_model"
    for existing in (path, *([] if is_folder else [_description_path(path)])):
        if not existing.exists():
            continue
        if not options.overwrite:
            raise UsageError(f"--out={existing} exists; choose another, or --overwrite")
        # With a wrong --out, --overwrite must not delete a folder of something else.
        is_ours = (existing / SAVED_MODEL_FILE).is_file() if is_folder else existing.is_file()
        if not is_ours:
            kind = "SavedModel" if is_folder else "file"
            raise UsageError(f"--out={existing} is no {kind}, and is not overwritten")
    return path


def _description_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _interface(options: ExportOptions, program: Program) -> dict[str, Any]:
    """What a program that runs the model wants to know of it."""

    def described(tensor: Any) -> dict[str, Any]:
        facts = {"dtype": tensor.dtype.name, "shape": tensor.shape.as_list()}
        # The others are asked by their signature, not by the names of tensors.
        return {"tensor": tensor.name, **facts} if options.format in ("frozen", "onnx") else facts

    outputs = {PROBABILITIES: program.probabilities, CLASSES: program.classes}
    return {
        **({"precision": options.precision} if options.format == "tflite" else {}),
        "inputs": {IMAGES: described(program.images_ph)},
        "outputs": {name: described(tensor) for name, tensor in outputs.items()},
    }


def _model_file(options: ExportOptions, program: Program, data: TrainingData) -> bytes:
    """The content of a file that can be run."""
    if options.format == "frozen":
        return bytes(frozen_graph(program).SerializeToString())
    if options.format == "onnx":
        return convert_to_onnx(program)
    images = None
    if options.precision == "int8":
        split = data.split("train")
        order = np.random.default_rng(program.config.seed).permutation(len(split.labels))
        images = split.images[order[: options.calibration_images]]
    return convert_to_tflite(program, options.precision, images)
