"""A run's network as a program of its own: raw images in, probabilities out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.data.specs import DatasetSpec
from cnnlab.graph.inference_graph import build_inference_graph
from cnnlab.models import find_model
from cnnlab.run.device import session_config
from cnnlab.run.disk.checkpoint import find_checkpoint
from cnnlab.run.disk.saver import make_saver

IMAGES, PROBABILITIES, CLASSES = "images", "probabilities", "classes"


class Program(NamedTuple):
    """The network in a graph of its own, and a session that holds the weights of evaluation.

    Attributes:
        config: the run's options.
        spec: its data set's shape and classes.
        step: of the checkpoint.
        session: holds the weights; its graph is not finalized.
        images_ph: uint8 [batch, height, width, channels], range [0, 255]: a plain placeholder.
        probabilities: float32 [batch, num_classes], each row sums to 1.
        classes: int64 [batch], the most probable class of each.
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

    Nothing in it names a device, so that it runs wherever it is loaded.

    Args:
        save_dir: a run directory.
        config: its options.
        spec: its data set's shape and classes.
        checkpoint: "latest", "best" or the number of a step.

    Raises:
        UsageError: the checkpoint's name is none of these, or the model is a script's function.
        CnnlabError: no such checkpoint, or it is damaged.
    """
    checkpoints, step = find_checkpoint(save_dir, checkpoint)
    graph = tf.Graph()
    with graph.as_default():
        images_ph = tf.placeholder(tf.uint8, [None, *spec.image_shape], IMAGES)
        probabilities, classes = build_outputs(config, spec, images_ph)
        saver = make_saver(graph)
    # Not as a context: inside one TensorFlow's own converters find eager mode off.
    with contextlib.closing(tf.Session(graph=graph, config=session_config(config))) as session:
        checkpoints.restore(saver, session, step)
        yield Program(config, spec, step, session, images_ph, probabilities, classes)


def build_outputs(config: Config, spec: DatasetSpec, images: Any) -> tuple[Any, Any]:
    """Add the network to the default graph, over variables that it shares with any other there.

    Args:
        images: uint8 [batch, height, width, channels].

    Returns:
        probabilities float32 [batch, num_classes], classes int64 [batch].
    """
    with tf.name_scope("network"):
        # As written: converters know its operations, and other programs have their own ways.
        model = find_model(config.model)
        network = build_inference_graph(config, spec, model, images=images, as_written=True)
    probabilities = tf.identity(network.probabilities, PROBABILITIES)
    # Of the logits: they still differ where probabilities are rounded to 1.
    return probabilities, tf.argmax(network.logits, axis=1, name=CLASSES)
