"""The network of a run as a separate program: raw images in, probabilities out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import open_session, tf
from cnnlab.config.config import Config
from cnnlab.data.specs import DatasetSpec
from cnnlab.graph.inference_graph import build_inference_graph
from cnnlab.models import find_model
from cnnlab.run.device import session_config
from cnnlab.run.disk.chosen import find_checkpoints, restore_chosen
from cnnlab.run.disk.saver import make_saver

IMAGES, PROBABILITIES, CLASSES = "images", "probabilities", "classes"


class Program(NamedTuple):
    """The network in a separate graph, and a session with the weights that `evaluate` uses.

    Attributes:
        config: the run's options.
        spec: image shape and classes of the run's data.
        step: the step of the checkpoint.
        session: holds the weights; its graph is not finalized.
        images_ph: uint8 [batch, height, width, channels], range [0, 255]; without a default.
        probabilities: float32 [batch, num_classes], each row sums to 1.
        classes: int64 [batch], the most probable class of each image.
    """

    config: Config
    spec: DatasetSpec
    step: int
    session: Any
    images_ph: Any
    probabilities: Any
    classes: Any


@contextlib.contextmanager
def open_program(
    save_dir: str, config: Config, spec: DatasetSpec, checkpoint: str
) -> Iterator[Program]:
    """Build the program of a run and load the weights; the session closes at the end of the block.

    No operation is placed on a device, so that the export runs on any machine.

    Args:
        save_dir: a run directory.
        config: the run's options.
        spec: image shape and classes of the run's data.
        checkpoint: "latest", "best" or the number of a step.

    Raises:
        UsageError: the checkpoint's name is none of these, or the model is a script's function.
        CnnlabError: the checkpoint does not exist, or it is damaged.
    """
    checkpoints = find_checkpoints(save_dir, checkpoint)
    graph = tf.Graph()
    with building_in(graph):
        images_ph = tf.placeholder(tf.uint8, [None, *spec.image_shape], IMAGES)
        probabilities, classes = build_outputs(config, spec, images_ph)
        saver = make_saver(graph)
    # Not `with tf.Session(...)`: inside it eager mode is off, but TensorFlow's converters need it.
    with contextlib.closing(open_session(graph, session_config(config))) as session:
        step = restore_chosen(checkpoints, checkpoint, saver, session)
        yield Program(config, spec, step, session, images_ph, probabilities, classes)


def build_outputs(config: Config, spec: DatasetSpec, images: Any) -> tuple[Any, Any]:
    """Add the network to the default graph. A second call there reuses the variables of the first.

    Args:
        config: the run's options.
        spec: image shape and classes of the run's data.
        images: uint8 [batch, height, width, channels], range [0, 255].

    Returns:
        probabilities float32 [batch, num_classes], and classes int64 [batch].
    """
    with tf.name_scope("network"):
        # As written, because converters know TensorFlow's own kernels only.
        model = find_model(config.model)
        graph = build_inference_graph(config, spec, model, images=images, as_written=True)
    probabilities = tf.identity(graph.probabilities, PROBABILITIES)
    # From the logits, which differ even where two probabilities are rounded to the same number.
    return probabilities, tf.argmax(graph.logits, axis=1, name=CLASSES)
