"""The network as a whole model of Keras 3, and its weights in Keras's file.

The model takes raw images and prepares them itself, like every other export. It is compared with
the network before it is written.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import keras3
from cnnlab.data.augment import evaluation_views, scaling_of
from cnnlab.data.augment.crops import central_crop, central_scaled_crop, sides_at_mean
from cnnlab.data.grey_levels import WHITE, in_range
from cnnlab.data.scaling import PREPARED
from cnnlab.data.specs import AS_GIVEN
from cnnlab.export.keras_layers import KerasLayers
from cnnlab.export.program import IMAGES, PROBABILITIES, VALUES, Program, check_eager_mode

OUTPUTS: Final = "outputs"  # of a network for classes whose outputs are no softmax
_COMPARED_IMAGES: Final = 2
_TOLERANCE: Final = 1e-3  # of the greatest logit: GPUs multiply with fewer digits


def build_keras_model(program: Program) -> Any:
    """Return the network as a `keras.Model` with the weights that `evaluate` uses.

    Its input is images, float32 [batch, height, width, channels], in the range of the run's images:
    [0, 255] by default. The layer before the last one gives the logits. The last one applies the
    run's output function: probabilities [batch, num_classes] of a softmax. With one unit for two
    classes they are [batch, 1], for the second class. With several heads, its output is a mapping
    from the name of each head to its probabilities.

    Raises:
        CnnlabError: Keras has no twin of a layer, or the model computes something else. Or eager
            mode is off.
    """
    check_eager_mode("Keras")
    try:
        images = keras3.Input(program.spec.image_shape, name=IMAGES)
    except ImportError as error:  # of the backend that the user chose
        raise CnnlabError(f"Keras cannot be loaded: {error}") from error
    graph, config = program.graph, program.config
    network_logits = graph.logits
    if config.has_one_unit:  # the unit z, of -z / 2 and z / 2
        network_logits = graph.logits.op.inputs[0].op.inputs[0]
    layers = KerasLayers(
        graph.inputs, _prepared(program, images), network_logits, graph.training_only
    )
    outputs = _outputs(program, layers.output)
    model = keras3.Model(images, outputs, name=_plain_name(program))
    values = program.session.run([weights.tensors for weights in layers.weights])
    for (layer, _), arrays in zip(layers.weights, values, strict=True):
        layer.set_weights(arrays)
    _compare(program, network_logits, keras3.Model(images, layers.output))
    return model


def keras_file(model: Any, *, only_weights: bool) -> bytes:
    """Return the content of a `.keras` file, or of a `.weights.h5` file."""
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        # Keras 3.15 converts variables in a way that NumPy 2 warns of.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        path = Path(scratch) / ("model.weights.h5" if only_weights else "model.keras")
        (model.save_weights if only_weights else model.save)(path)
        return path.read_bytes()


def _outputs(program: Program, logits: Any) -> Any:
    """Add the last layer, or that of each head; return its output, or theirs by name."""
    if program.graph.heads:
        return {
            head.name: keras3.layers.Softmax(name=f"{head.name}_probabilities")(
                logits[:, head.columns]
            )
            for head in program.graph.heads
        }
    is_of_labels = program.spec.targets == "labels"
    output = "sigmoid" if is_of_labels else program.config.resolved_output
    return keras3.layers.Activation(output, name=_name_of_output(program, output))(logits)


def _name_of_output(program: Program, output: str) -> str:
    if program.spec.targets == "values":
        return VALUES
    return PROBABILITIES if output in ("softmax", "sigmoid") else OUTPUTS


def _plain_name(program: Program) -> str:
    """Return the name of the run's model in letters that Keras takes."""
    name = program.config.model.rpartition(":")[2].rpartition(".")[2]
    return name if name.isidentifier() else "model"


def _prepared(program: Program, images: Any) -> Any:
    """Add the layers from raw images to the network's input: the view of evaluation, and scaling.

    Raises:
        CnnlabError: Keras has no twin of the view or of the scaling.
    """
    layers, spec, config = keras3.layers, program.spec, program.config
    scaling = scaling_of(config.augment, config.scaling)
    if spec.image_range is not None and spec.image_range != AS_GIVEN:
        black, white = spec.image_range
        factor = WHITE / (white - black)
        images = layers.Rescaling(factor, -black * factor, name="grey_levels")(images)
    for number, (view, arguments) in enumerate(evaluation_views(config.augment), 1):
        images = _viewed(images, view, arguments, f"_{number}" if number > 1 else "")
    name = f"scaling_{scaling}"
    if scaling == "none":
        return images
    if scaling in ("unit", "symmetric"):
        scale, offset = (1 / 255, 0.0) if scaling == "unit" else (2 / 255, -1.0)
        return layers.Rescaling(scale, offset, name=name)(images)
    if scaling == "standardize":
        return _standardized(images)
    if scaling == "normalize":
        assert program.graph.statistics is not None
        mean, stddev = program.session.run(program.graph.statistics[:2])
    elif scaling in PREPARED:
        prepared = PREPARED[scaling]
        if prepared.is_reversed:
            images = keras3.ops.flip(images, axis=-1)
        mean, stddev = (
            np.asarray(figures) / (prepared.unit * 255)
            for figures in (prepared.mean, prepared.stddev)
        )
    else:
        raise CnnlabError(
            f"Keras has no twin of --scaling={scaling}; export --format=saved_model and load it "
            "with keras.layers.TFSMLayer"
        )
    images = layers.Rescaling(1 / 255, name=name)(images)
    normalization = layers.Normalization(mean=mean, variance=np.square(stddev), name="normalize")
    return normalization(images)


def _viewed(images: Any, view: Any, arguments: dict[str, Any], end: str) -> Any:
    """Add the layers of a view; `end` ends their names.

    Raises:
        CnnlabError: Keras has no twin of it.
    """
    if view not in (central_crop, central_scaled_crop):
        raise CnnlabError(
            f"Keras has no twin of {view.__name__}, by which evaluation prepares images; export "
            "--format=saved_model and load it with keras.layers.TFSMLayer"
        )
    size = arguments["size"]
    if view is central_scaled_crop:
        sides = sides_at_mean(images.shape[1:3], arguments["lower"], arguments["upper"])
        # Bilinear and without antialiasing by default, as the view.
        images = keras3.layers.Resizing(*sides, name=f"resizing{end}")(images)
    if tuple(images.shape[1:3]) == (size, size):
        return images
    return keras3.layers.CenterCrop(size, size, name=f"central_crop{end}")(images)


def _standardized(images: Any) -> Any:
    """Do what `tf.image.per_image_standardization` does."""
    ops = keras3.ops
    least = float(np.prod(images.shape[1:])) ** -0.5
    mean = ops.mean(images, axis=[1, 2, 3], keepdims=True)
    stddev = ops.std(images, axis=[1, 2, 3], keepdims=True)
    return (images - mean) / ops.maximum(stddev, least)


def _compare(program: Program, logits: Any, model: Any) -> None:
    """Compare the logits of random images.

    Raises:
        CnnlabError: they differ by more than rounding.
    """
    rng = np.random.default_rng(0)
    shape = (_COMPARED_IMAGES, *program.spec.image_shape)
    images: Any = rng.integers(0, WHITE + 1, shape).astype(np.uint8)
    if program.spec.image_range == AS_GIVEN:
        images = images / WHITE
    else:
        images = in_range(images, program.spec.image_range)
    ours = program.session.run(logits, {program.images_ph: images})
    theirs = np.asarray(model(images.astype(np.float32), training=False))
    difference = float(np.abs(ours - theirs).max())
    if not difference <= _TOLERANCE * max(1.0, float(np.abs(ours).max())):
        raise CnnlabError(
            f"the Keras model would compute other logits, which differ by {difference:.3g}; export "
            "--format=saved_model and load it with keras.layers.TFSMLayer"
        )
