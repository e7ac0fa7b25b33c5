"""Names of TensorFlow 1 that today's does not have, and what replaced them.

`cnnlab run-tf1` and `cnnlab port` both read these tables.
"""

from __future__ import annotations

from typing import Final

# Below `tf`: a name from before version 1.0, and the later one with the same arguments.
RENAMED: Final = {
    "mul": "multiply",
    "sub": "subtract",
    "neg": "negative",
    "inv": "reciprocal",
    "select": "where",
    "pack": "stack",
    "unpack": "unstack",
    "complex_abs": "abs",
    "listdiff": "setdiff1d",
    "batch_matmul": "matmul",
    "batch_cholesky": "cholesky",
    "batch_matrix_inverse": "matrix_inverse",
    "batch_matrix_determinant": "matrix_determinant",
    "batch_matrix_transpose": "matrix_transpose",
    "merge_summary": "summary.merge",
    "merge_all_summaries": "summary.merge_all",
    "FastGFile": "gfile.FastGFile",
}
# The longest prefix that matches counts.
_GONE: Final = {
    "tf.estimator": "TensorFlow 2.16 removed estimators: write the session loop, or train with "
    "cnnlab train (--model=FILE.py:FUNCTION takes your model_fn's network)",
    "tf.contrib.estimator": "TensorFlow 2.16 removed estimators: write the session loop, or use "
    "cnnlab train",
    "tf.contrib.learn": "it became tf.estimator, which TensorFlow 2.16 removed: write the session "
    "loop, or use cnnlab train; of contrib.learn only datasets are here",
    "tf.contrib.tpu": "TPUs are used through tf.distribute.TPUStrategy",
    "tf.contrib.distribute": "it became tf.distribute",
    "tf.contrib.cluster_resolver": "it became tf.distribute.cluster_resolver",
    "tf.contrib.boosted_trees": "use tensorflow-decision-forests or scikit-learn",
    "tf.contrib.tensor_forest": "use tensorflow-decision-forests or scikit-learn",
    "tf.contrib.factorization": "use scikit-learn (KMeans, NMF)",
    "tf.contrib.eager": "eager execution is TensorFlow 2's default: run the program with TensorFlow"
    " 2, tf.GradientTape and tf.function",
    "tf.enable_eager_execution": "an eager program is one of TensorFlow 2: run it with Python",
    "tf.contrib.seq2seq": "it became tfa.seq2seq of the archived TensorFlow Addons",
    "tf.contrib.legacy_seq2seq": "nothing replaced it; Keras has attention layers",
    "tf.contrib.crf": "it became tfa.text of the archived TensorFlow Addons",
    "tf.contrib.image": "it became tfa.image of the archived TensorFlow Addons; see also "
    "tf.image and cnnlab's --augment",
    "tf.contrib.gan": "it became the package tensorflow-gan",
    "tf.contrib.tensorrt": "it became tf.experimental.tensorrt",
    "tf.contrib.lite": "it became tf.lite; cnnlab export --format=tflite writes a model",
    "tf.contrib.quantize": "use the package tensorflow-model-optimization",
    "tf.contrib.bayesflow": "it became TensorFlow Probability",
    "tf.contrib.distributions": "it became TensorFlow Probability",
    "tf.contrib.cudnn_rnn": "tf.keras.layers.LSTM uses cuDNN by itself",
    "tf.contrib.summary": "it became tf.summary of TensorFlow 2",
    "tf.contrib.keras": "it became tf.keras",
    "tf.contrib.slim.nets": "the networks are in the package tf-slim; cnnlab has its own: "
    "cnnlab models",
    "tf.contrib": "TensorFlow 2 removed tf.contrib; parts of it are in tf-slim and in the archived "
    "TensorFlow Addons",
    "tf.models": "copy the file that is imported next to the program (tensorflow/models on GitHub, "
    "tag r1.13.0) and import it from there",
    "tf.examples": "copy the file that is imported next to the program (tensorflow/tensorflow on "
    "GitHub, tag v1.15.5) and import it from there",
    "tf.nn.seq2seq": "it became tfa.seq2seq of the archived TensorFlow Addons",
    "tf.function": "it belongs to TensorFlow 2: run the program with Python itself",
}


def replacement_of(name: str) -> str:
    """Return what replaced a name, written as in programs ("tf.contrib.crf"), or "" if unknown."""
    while name:
        if name in _GONE:
            return _GONE[name]
        name = name.rpartition(".")[0]
    return ""
