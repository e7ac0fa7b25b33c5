"""Run exported models with TensorFlow, in a program that must not need cnnlab.

    python -I plain_reader.py RUN...

A RUN holds images.npy, image files for a SavedModel in files/, and the exported models in export/.
What each model computes for the images is written to RUN/answers.npz.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


def main() -> None:
    for run in map(Path, sys.argv[1:]):
        images = np.load(run / "images.npy")
        answers = {}
        for path in (run / "export").iterdir():
            if path.name == "saved_model":
                files = [file.read_bytes() for file in sorted((run / "files").iterdir())]
                answers |= read_saved_model(path, images, files)
            elif path.suffix == ".pb":
                answers |= read_frozen(path, images)
            elif path.suffix == ".tflite":
                answers |= read_tflite(path, images)
        np.savez(run / "answers.npz", **answers)
    assert not any(name.split(".")[0] == "cnnlab" for name in sys.modules)


def read_saved_model(folder, images, files):
    loaded = tf.saved_model.load(str(folder))
    raw = loaded.signatures["serving_default"](images=tf.constant(images))
    encoded = loaded.signatures["encoded"](image_bytes=tf.constant(files))
    return {
        "saved_model/probabilities": raw["probabilities"],
        "saved_model/classes": raw["classes"],
        "encoded/probabilities": encoded["probabilities"],
        "encoded/classes": encoded["classes"],
    }


def read_frozen(path, images):
    graph = tf.Graph()
    with graph.as_default():
        graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
        tf.compat.v1.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            probabilities, classes = session.run(
                ["probabilities:0", "classes:0"], {"images:0": images}
            )
    return {"frozen/probabilities": probabilities, "frozen/classes": classes}


def read_tflite(path, images):
    interpreter = tf.lite.Interpreter(str(path))
    runner = interpreter.get_signature_runner("serving_default")
    batches = [images[:1], images[1:]]  # the batch may have any size
    found = [runner(images=batch) for batch in batches]
    return {
        f"{path.stem}/{name}": np.concatenate([answer[name] for answer in found])
        for name in ("probabilities", "classes")
    }


main()
