"""Load exported models with Keras 3, and compare with the network of the run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.base.errors import CnnlabError
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import keras3, open_session, tf
from cnnlab.config import options as opts
from cnnlab.config.config import Config
from cnnlab.data.grey_levels import image_type
from cnnlab.data.specs import DATASETS, DatasetSpec
from cnnlab.export import export
from cnnlab.export.keras_model import build_keras_model
from cnnlab.export.program import Program, build_outputs
from cnnlab.graph.parts import Parts
from tests import commands, small_run

# Keras 3.15 converts variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
READER = Path(__file__).parent / "plain_keras_reader.py"


def program(model: Any, spec: DatasetSpec, **options: Any) -> Program:
    """Return a network with random weights and random statistics, without a run."""
    named = {"model": model} if isinstance(model, str) else {}
    config = opts.build(Config, {"dataset": "shapes", **named, **options})
    parts = Parts.of(config, {} if named else {"model": model})
    graph = tf.Graph()
    with building_in(graph):
        images_ph = tf.placeholder(image_type(spec.image_range), [None, *spec.image_shape])
        network, outputs = build_outputs(config, spec, parts, images_ph)
        rng = np.random.default_rng(0)
        start = [tf.global_variables_initializer()]
        with tf.control_dependencies(start):
            start += [
                variable.assign(rng.uniform(0.1, 1, variable.shape.as_list()))
                for variable in tf.global_variables()
                if variable.shape.rank == 1
            ]
    session = open_session(graph)
    session.run(start)
    return Program(config, spec, parts, 0, session, images_ph, network, outputs)


def assert_same_logits(made: Program, images: Any, tolerance: float = 1e-5) -> Any:
    """Assert that Keras computes the logits of the network, and return its model."""
    model = build_keras_model(made)
    found = keras3.Model(model.input, model.layers[-1].input)(images, training=False)
    logits = made.session.run(made.graph.logits, {made.images_ph: images})
    if made.config.has_one_unit:
        logits = logits[:, 1:] - logits[:, :1]
    assert np.ptp(logits) > 0.01
    np.testing.assert_allclose(found, logits, rtol=tolerance, atol=tolerance)
    made.session.close()
    return model


def every_kind(images: Any, num_classes: int, *, training: bool) -> Any:
    """Build a network with all layers that have twins, two of which share their weights."""
    x = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    x = layers.conv2d(x, 4, 3, strides=2, padding="same", activation="tanh", name="a/conv")
    x = layers.batch_normalization(x, training=training, momentum=0.7, scale=False, name="norm")
    x = layers.activate(x, "leaky_relu", name="leaky")
    once = layers.conv2d(x, 4, 3, padding="same", use_bias=False, name="shared")
    x = x + layers.conv2d(once, 4, 3, padding="same", use_bias=False, name="shared", reuse=True)
    x = layers.concatenate([x, layers.activate(x, "gelu"), layers.activate(x, "swish")])
    x = layers.separable_conv2d(x, 6, 3, padding="same", activation="elu", name="separable")
    x = layers.spatial_dropout(x, 0.1, training=training, name="drop_maps")
    x = layers.max_pooling2d(layers.zero_padding2d(x, 1), 3, 2)
    x = layers.average_pooling2d(x, 2, 1, padding="same")
    mean = layers.global_average_pooling2d(x)
    x = layers.dense(layers.flatten(x), 8, use_bias=False, name="hidden")
    x = layers.batch_normalization(x, training=training, epsilon=0.1, name="hidden_norm")
    x = layers.dropout(layers.activate(x, "selu"), 0.25, training=training, name="drop")
    return layers.dense(tf.concat([x, mean], 1), num_classes, name="logits") * 0.5


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a run, exported; with images and what `predict` says of them."""
    folder = tmp_path_factory.mktemp("keras")
    options = {"steps": 3, "scaling": "normalize", "ema_decay": 0.9}
    augment = ["flip", {"central_crop": {"size": 7}}]
    with small_run.make(folder / "run", every_kind, augment=augment, **options) as train:
        train.train()
        images = small_run.arrays()[1][0]
        probabilities = train.predict(images)
    np.savez(folder / "expected.npz", images=images, probabilities=probabilities)
    for form in ("keras", "keras_weights"):
        export(folder / "run", form)
    return folder


@pytest.mark.slow
def test_keras_loads_the_whole_model(run: Path) -> None:
    """It has the weights of evaluation, and what only training needs: dropout and momentum."""
    model = keras3.models.load_model(run / "run/export/model.keras")
    with np.load(run / "expected.npz") as expected:
        found = model.predict(expected["images"], verbose=0)
        np.testing.assert_allclose(found, expected["probabilities"], atol=1e-6)
    assert [model.get_layer(name).rate for name in ("drop_maps", "drop")] == [0.1, 0.25]
    assert model.get_layer("norm").momentum == 0.7
    assert model.get_layer("activation").activation.__name__ == "gelu"
    assert "a_conv" in [layer.name for layer in model.layers]
    described = json.loads((run / "run/export/model.keras.json").read_text())
    assert described["inputs"] == {"images": {"dtype": "float32", "shape": [None, 8, 8, 3]}}
    assert described["outputs"] == {"probabilities": {"dtype": "float32", "shape": [None, 4]}}
    assert described["layers"] == [layer.name for layer in model.layers]


@pytest.mark.slow
def test_keras_trains_the_model_on(run: Path) -> None:
    model = keras3.models.load_model(run / "run/export/model.keras")
    (images, labels), _ = small_run.arrays()
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_layer("logits").get_weights()[0]
    losses = model.fit(images, labels, epochs=2, verbose=0, shuffle=False).history["loss"]
    assert np.isfinite(losses).all()
    assert not np.array_equal(before, model.get_layer("logits").get_weights()[0])


def test_keras_reads_the_weights_into_the_same_layers() -> None:
    """Also into a model that was written by hand, whose layers have other names."""
    spec = DATASETS["mnist"]
    made = program("mnist_mlp", spec, model_options={"dense_units": [6, 5]})
    model = build_keras_model(made)
    model.save_weights("w.weights.h5")
    dense = keras3.layers.Dense
    mine = keras3.Sequential(
        [
            *(keras3.Input((28, 28, 1)), keras3.layers.Flatten()),
            *(dense(6, activation="relu"), dense(5, activation="relu"), dense(10)),
        ]
    )
    mine.load_weights("w.weights.h5")
    images = np.random.default_rng(1).integers(0, 256, (3, 28, 28, 1)).astype(np.uint8)
    logits = made.session.run(made.graph.logits, {made.images_ph: images})
    np.testing.assert_allclose(mine(images / 255), logits, atol=1e-5)


@pytest.mark.parametrize(
    "scaling", ["none", "symmetric", "standardize", "normalize", "caffe", "torch"]
)
def test_the_model_scales_raw_images_itself(scaling: str) -> None:
    spec = DatasetSpec("small", (6, 6, 3), ("a", "b", "c"), 10, 10)
    images = np.random.default_rng(1).integers(0, 256, (3, 6, 6, 3)).astype(np.uint8)
    assert_same_logits(program(small_run.linear, spec, scaling=scaling), images)


@pytest.mark.parametrize("size", [4, 12])
def test_the_model_resizes_and_crops_raw_images_itself(size: int) -> None:
    """As evaluation does after training with scale jitter, also to more pixels than there are."""
    spec = DatasetSpec("small", (6, 8, 3), ("a", "b", "c"), 10, 10)
    images = np.random.default_rng(1).integers(0, 256, (3, 6, 8, 3)).astype(np.uint8)
    jitter = {"scale_jitter": {"size": size, "lower": size + 1, "upper": size + 4}}
    entries = [jitter, {"random_crop": {"size": 3}}]
    model = assert_same_logits(program(small_run.linear, spec, augment=entries), images)
    crops = [layer.name for layer in model.layers if "crop" in layer.name]
    assert crops == ["central_crop", "central_crop_2"]


def test_a_mask_with_sides_of_the_batch() -> None:
    """Dropout of whole images; in TensorFlow the length of the batch is a tensor."""
    spec = DatasetSpec("small", (6, 6, 3), ("a", "b", "c"), 10, 10)

    def masked(axis: int) -> Any:
        def model(images: Any, num_classes: int, *, training: bool) -> Any:
            mask = tf.stack([tf.shape(images)[axis], 1, 1, 3])
            x = layers.dropout(images, 0.5, noise_shape=mask, training=training, name="drop")
            return small_run.linear(x, num_classes, training=training)

        return model

    model = build_keras_model(program(masked(0), spec))
    assert model.get_layer("drop").noise_shape == (None, 1, 1, 3)
    with pytest.raises(CnnlabError, match=r"the layer drop \(Identity with a computed noise_sha"):
        build_keras_model(program(masked(1), spec))


def test_other_ranges_and_outputs() -> None:
    images = np.random.default_rng(1).uniform(-1, 1, (3, 6, 6, 3)).astype(np.float32)
    spec = DatasetSpec("small", (6, 6, 3), ("a", "b"), 10, 10, image_range=(-1.0, 1.0))
    model = assert_same_logits(program(small_run.linear, spec), images)
    assert model.layers[-1].name == "probabilities"
    made = program(small_run.linear, spec, class_mode="binary", loss="sigmoid")
    model = assert_same_logits(made, images)
    assert model.output.shape == (None, 1)
    made = program(small_run.linear, spec, class_mode="binary", loss="hinge")
    model = assert_same_logits(made, images)
    assert (model.layers[-1].name, model.layers[-1].activation.__name__) == ("outputs", "tanh")


def test_what_has_no_twin_is_refused() -> None:
    spec = DatasetSpec("small", (6, 6, 3), ("a", "b", "c"), 10, 10)

    def normalized(images: Any, num_classes: int, *, training: bool) -> Any:
        x = layers.local_response_normalization(images, name="lrn")
        return small_run.linear(x, num_classes, training=training)

    def computed(images: Any, num_classes: int, *, training: bool) -> Any:
        del training
        kernel = tf.get_variable("kernel", [3, 3, 3, num_classes])
        return tf.reduce_mean(tf.nn.conv2d(images, kernel**2, 1, "SAME"), [1, 2])

    for model, options, message in [
        (normalized, {}, r"no twin of the layer lrn \(Square\); .*saved_model.*TFSMLayer"),
        (computed, {}, r"no twin of the layer Conv2D \(Conv2D with computed weights\)"),
        (small_run.linear, {"scaling": "zca"}, "no twin of --scaling=zca"),
    ]:
        with pytest.raises(CnnlabError, match=message) as raised:
            build_keras_model(program(model, spec, **options))
        assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_a_process_without_cnnlab_loads_the_model(run: Path) -> None:
    """Also the SavedModel, through `keras.layers.TFSMLayer`."""
    export(run / "run", "saved_model")
    done = commands.finish(commands.start_python("-I", str(READER), str(run), cwd=run), run)
    assert done.code == 0, done.stderr
    with np.load(run / "answers.npz") as found, np.load(run / "expected.npz") as expected:
        assert sorted(found) == ["again", "keras", "saved_model"]
        for name in found:
            np.testing.assert_allclose(found[name], expected["probabilities"], atol=1e-5)
