"""The network of a run as a separate program: raw images in, probabilities out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from cnnlab.base.errors import CnnlabError
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import open_session, tf, tf2
from cnnlab.config.config import Config
from cnnlab.data.grey_levels import image_type
from cnnlab.data.specs import DatasetSpec
from cnnlab.graph.inference_graph import InferenceGraph, build_inference_graph
from cnnlab.graph.parts import Parts
from cnnlab.run.device import session_config
from cnnlab.run.disk.chosen import find_checkpoints, restore_chosen
from cnnlab.run.disk.saver import make_saver

IMAGES, PROBABILITIES, CLASSES, VALUES = "images", "probabilities", "classes", "values"


class Program(NamedTuple):
    """The network in a separate graph, and a session with the weights that `evaluate` uses.

    Attributes:
        config: the run's options.
        spec: image shape and classes of the run's data.
        parts: the model, and the user's other functions.
        step: the step of the checkpoint.
        session: holds the weights; its graph is not finalized.
        images_ph: uint8 [batch, height, width, channels], range [0, 255]; float32 if the run's
            images have another range. Without a default.
        graph: the inference graph from `images_ph`.
        outputs: see `build_outputs`.
    """

    config: Config
    spec: DatasetSpec
    parts: Parts
    step: int
    session: Any
    images_ph: Any
    graph: InferenceGraph
    outputs: dict[str, Any]


@contextlib.contextmanager
def open_program(
    save_dir: str, config: Config, spec: DatasetSpec, parts: Parts, checkpoint: str
) -> Iterator[Program]:
    """Build the program of a run and load the weights; the session closes at the end of the block.

    No operation is placed on a device, and channels are last, so that the export runs on any
    machine.

    Args:
        save_dir: a run directory.
        config: the run's options.
        spec: image shape and classes of the run's data.
        parts: see `cnnlab.run.own_code.parts_of_run`.
        checkpoint: "latest", "best" or the number of a step.

    Raises:
        UsageError: the checkpoint's name is none of these.
        CnnlabError: the checkpoint does not exist, or it is damaged.
    """
    checkpoints = find_checkpoints(save_dir, checkpoint)
    graph = tf.Graph()
    with building_in(graph):
        shape = [None, *spec.image_shape]
        images_ph = tf.placeholder(image_type(spec.image_range), shape, IMAGES)
        network, outputs = build_outputs(config, spec, parts.with_channels_last(), images_ph)
        saver = make_saver(graph)
    # Not `with tf.Session(...)`: inside it eager mode is off, but TensorFlow's converters need it.
    with contextlib.closing(open_session(graph, session_config(config))) as session:
        step = restore_chosen(checkpoints, checkpoint, saver, session)
        yield Program(config, spec, parts, step, session, images_ph, network, outputs)


def build_outputs(
    config: Config, spec: DatasetSpec, parts: Parts, images: Any
) -> tuple[InferenceGraph, dict[str, Any]]:
    """Add the network to the default graph. A second call there reuses the variables of the first.

    Args:
        config: the run's options.
        spec: image shape and classes of the run's data.
        parts: the model, and the user's other functions.
        images: [batch, height, width, channels], as `Program.images_ph`.

    Returns:
        The inference graph, and name to tensor: probabilities float32 [batch, num_classes], each
        row sums to 1, and classes int64 [batch], the most probable ones. With several labels an
        image, probabilities float32 [batch, num_labels] only; with real values, values float32
        [batch, num_values]. With several heads, the probabilities of each, float32 [batch, classes
        of the head], by the name of the head.
    """
    with tf.name_scope("network"):
        # As written, because converters know TensorFlow's own kernels only.
        graph = build_inference_graph(config, spec, parts, images=images, as_written=True)
    if spec.heads:
        return graph, {
            head.name: tf.identity(graph.probabilities[:, head.columns], head.name)
            for head in spec.heads
        }
    if spec.targets != "classes":
        name = PROBABILITIES if spec.targets == "labels" else VALUES
        return graph, {name: tf.identity(graph.probabilities, name)}
    probabilities = tf.identity(graph.probabilities, PROBABILITIES)
    # From the logits, which differ even where two probabilities are rounded to the same number.
    classes = tf.argmax(graph.logits, axis=1, name=CLASSES)
    return graph, {PROBABILITIES: probabilities, CLASSES: classes}


def check_eager_mode(what: str) -> None:
    """Refuse to go on where eager mode is off.

    Args:
        what: what needs it, as in "Keras"; begins the message.

    Raises:
        CnnlabError: eager mode is off.
    """
    if not tf2.executing_eagerly():
        raise CnnlabError(
            f"{what} needs eager mode: do not export inside a graph's as_default(), nor after "
            "disable_eager_execution()"
        )
