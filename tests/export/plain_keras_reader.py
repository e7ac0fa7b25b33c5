"""Run exported models with Keras 3, in a program that must not need cnnlab.

    python -I plain_keras_reader.py FOLDER

FOLDER holds expected.npz and the exported models in run/export/. What each model computes for the
images is written to FOLDER/answers.npz.
"""

import sys
from pathlib import Path

import keras
import numpy as np


def main() -> None:
    folder = Path(sys.argv[1])
    exports = folder / "run/export"
    with np.load(folder / "expected.npz") as expected:
        images = expected["images"]
    model = keras.models.load_model(exports / "model.keras")
    answers = {"keras": model.predict(images, verbose=0)}
    for weights in model.weights:
        weights.assign(np.zeros(weights.shape))
    model.load_weights(exports / "model.weights.h5")
    answers["again"] = model.predict(images, verbose=0)
    layer = keras.layers.TFSMLayer(exports / "saved_model", call_endpoint="serving_default")
    answers["saved_model"] = np.asarray(layer(images)["probabilities"])
    np.savez(folder / "answers.npz", **answers)
    assert not any(name.split(".")[0] == "cnnlab" for name in sys.modules)


main()
