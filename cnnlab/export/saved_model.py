"""The SavedModel, the format that TensorFlow, TensorFlow Serving and most converters read.

FOLDER/
    saved_model.pb
    variables/
    assets/class_names.txt   one line per class, in order; control characters as escapes
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from cnnlab.base.files import cannot_write
from cnnlab.base.safe_text import for_terminal
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import quiet_stderr, reason_of, tf
from cnnlab.data.grey_levels import in_range
from cnnlab.data.image_files.resizing import Resizing
from cnnlab.export.decoding import decode_images
from cnnlab.export.program import IMAGES, Program, build_outputs

SERVING, ENCODED = "serving_default", "encoded"
IMAGE_BYTES = "image_bytes"  # TensorFlow Serving takes base64 for names that end in _bytes
CLASS_NAMES_FILE = "class_names.txt"
SAVED_MODEL_FILE = "saved_model.pb"


def save_saved_model(program: Program, folder: Path) -> None:
    """Write the SavedModel.

    It has two signatures. Both return the outputs of `build_outputs`.

    - serving_default takes images, as `Program.images_ph`.
    - encoded takes image_bytes, string [batch]: the contents of image files. Only networks for
      images with 1 or 3 channels have it.

    Args:
        program: the network and its weights.
        folder: the folder to create; it must not exist.

    Raises:
        CnnlabError: the disk is full, or the folder cannot be written.
    """
    with (
        tempfile.TemporaryDirectory() as scratch,
        building_in(program.session.graph),
        quiet_stderr(),
    ):
        signatures = {SERVING: _signature({IMAGES: program.images_ph}, program.outputs)}
        if program.spec.image_shape[2] in (1, 3):  # the channels that image files have
            image_bytes_ph = tf.placeholder(tf.string, [None], IMAGE_BYTES)
            resizing = Resizing.of(program.config)
            images = decode_images(image_bytes_ph, program.spec.image_shape, resizing)
            images = in_range(images, program.spec.image_range)
            _, outputs = build_outputs(program.config, program.spec, program.parts, images)
            signatures[ENCODED] = _signature({IMAGE_BYTES: image_bytes_ph}, outputs)
        path = Path(scratch) / CLASS_NAMES_FILE
        names = map(for_terminal, program.spec.class_names)  # no newline in a line
        path.write_text("".join(f"{name}\n" for name in names), "utf-8")
        tf.add_to_collection(
            tf.GraphKeys.ASSET_FILEPATHS, tf.constant(str(path), name="class_names_file")
        )
        _forget_variables_except_those_of(signatures)
        try:
            builder = tf.saved_model.Builder(str(folder))
            builder.add_meta_graph_and_variables(
                program.session,
                [tf.saved_model.tag_constants.SERVING],
                signatures,
                assets_collection=tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS),
                strip_default_attrs=True,
            )
            builder.save()
        except tf.errors.OpError as error:
            raise cannot_write(folder, reason_of(error)) from error


def _forget_variables_except_those_of(signatures: dict[str, Any]) -> None:
    """Take variables that no output depends on from the default graph's lists.

    A run that is evaluated with averages has every weight twice, and the builder would write both.
    """
    outputs = [tensor for signature in signatures.values() for tensor in signature.outputs.values()]
    names = [tensor.name.partition(":")[0] for tensor in outputs]
    graph_def = tf.get_default_graph().as_graph_def()
    read = {node.name for node in tf.graph_util.extract_sub_graph(graph_def, names).node}
    for key in (tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.TRAINABLE_VARIABLES):
        listed = tf.get_collection_ref(key)
        listed[:] = [variable for variable in listed if variable.op.name in read]


def _signature(inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    return tf.saved_model.predict_signature_def(inputs, outputs)
