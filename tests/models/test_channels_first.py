"""Channels first on a CPU: training, evaluation, prediction and export give the same figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Hook, Train, layers
from cnnlab.base.tf1 import legacy_convolutional, tf
from cnnlab.export import export
from cnnlab.layers import data_format
from cnnlab.layers.tower import Tower, building
from tests import commands, small_run

CIFAR_STEM = {"stem": "cifar"}


class Losses(Hook):
    """Keeps the loss of each step."""

    every_steps = 1

    def __init__(self) -> None:
        self.losses: list[float] = []

    def after_step(self, train: Any, state: Any) -> None:
        self.losses.append(float(state.loss))


def figures_of(folder: Path, data: Any, **options: Any) -> tuple[list[float], float, Any]:
    """Train, and return the losses of the steps, that of the test set, and probabilities."""
    losses = Losses()
    with Train(
        data=data,
        save_dir=folder,
        log_dir=f"{folder}-logs",
        hooks=[losses],
        seed=2,
        eval_steps=1000,
        summary_steps=1000,
        **options,
    ) as train:
        result = train.train()
        return losses.losses, result["loss"], train.predict(data[1][0])


@pytest.mark.slow
def test_all_commands(tmp_path: Path) -> None:
    data = small_run.arrays()
    found = {}
    for layout in ("channels_last", "channels_first"):
        options = {"data_format": layout}
        found[layout] = figures_of(
            tmp_path / layout,
            data,
            model="cifar_two_conv",
            model_options=options,
            batch_size=6,
            steps=6,
            learning_rate=0.001,
        )
    assert len(found["channels_first"][0]) == 6
    for last, first in zip(found["channels_last"], found["channels_first"], strict=True):
        np.testing.assert_allclose(first, last, rtol=1e-4)
    # The exported program has channels last, which any machine computes.
    export(tmp_path / "channels_first", format="frozen", out=tmp_path / "frozen.pb")
    graph_def = tf.GraphDef.FromString((tmp_path / "frozen.pb").read_bytes())
    formats = [node.attr["data_format"].s for node in graph_def.node if "Pool" in node.op]
    assert formats == [b"NHWC"]
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(graph_def, name="")
        outputs = session.run("probabilities:0", {"images:0": data[1][0]})
    np.testing.assert_allclose(outputs, found["channels_first"][2], rtol=1e-4)


@pytest.mark.slow
def test_all_commands_without_onednn(tmp_path: Path) -> None:
    """TensorFlow's own kernels on a CPU know channels last only."""
    test = f"{Path(__file__)}::{test_all_commands.__name__}"
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "slow", test)
    process = commands.start_python(*words, cwd=commands.ROOT, TF_ENABLE_ONEDNN_OPTS="0")
    done = commands.finish(process, tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


KINDS: dict[str, tuple[int, Any]] = {  # name: number of axes of the images, layer
    "conv1d": (1, lambda x, form: layers.conv1d(x, 5, 3, padding="same", data_format=form)),
    "conv2d": (2, lambda x, _: layers.conv2d(x, 5, 3, 2, activation="relu")),
    "conv3d": (3, lambda x, form: layers.conv3d(x, 5, 3, data_format=form)),
    "transpose": (2, lambda x, _: layers.conv2d_transpose(x, 5, 3, 2)),
    "depthwise": (2, lambda x, _: layers.depthwise_conv2d(x, 3)),
    "separable": (2, lambda x, _: layers.separable_conv2d(x, 5, 3, dilation_rate=2)),
    "max": (2, lambda x, _: layers.max_pooling2d(x, 3, 2, "same")),
    "mean": (2, lambda x, _: layers.average_pooling2d(x, 3, 2, "same")),
    "flatten": (2, lambda x, _: layers.flatten(x)),
    "lrn": (2, lambda x, _: layers.local_response_normalization(x)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_layers_without_onednn(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs and gradients are those of channels last, and no kernel with channels first is used.

    Only batch norm has one in TensorFlow itself.
    """
    monkeypatch.setattr(data_format, "onednn_is_on", lambda: False)
    axes, layer = KINDS[kind]
    images = np.random.default_rng(1).normal(size=(2, *[6] * axes, 4)).astype(np.float32)
    found = []
    for form in ("channels_last", "channels_first"):
        with tf.Graph().as_default() as graph, tf.Session() as session, building(Tower(1)) as tower:
            tower.data_format = form
            given = tf.constant(images)
            x = data_format.to_channels_first(given) if form == "channels_first" else given
            outputs = layer(x, form)
            gradients = tf.gradients(tf.square(outputs), [given, *tf.trainable_variables()])
            if form == "channels_first" and outputs.shape.rank == images.ndim:
                outputs = data_format.to_channels_last(outputs)
            formats = {
                op.get_attr("data_format")
                for op in graph.get_operations()
                if "data_format" in op.node_def.attr
            }
            session.run(tf.global_variables_initializer())
            found.append(session.run([outputs, *gradients]))
    assert formats <= {b"NHWC", b"NDHWC"}
    for last, first in zip(*found, strict=True):
        np.testing.assert_allclose(first, last, rtol=1e-5, atol=1e-5)


def test_a_gpu_computes_channels_first_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is built for a GPU, which need not exist."""
    monkeypatch.setattr(data_format, "onednn_is_on", lambda: False)
    with tf.Graph().as_default(), tf.device("/gpu:0"), building(Tower(1)):
        x = layers.conv2d(layers.arrange(tf.zeros([1, 8, 8, 3]), "channels_first"), 4, 3)
        assert x.op.inputs[0].op.get_attr("data_format") == b"NCHW"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet20", {}),
        ("vgg11", {"dense_units": 32}),
        ("alexnet", {"dense_units": 32, **CIFAR_STEM}),
        ("squeezenet", {"dropout": 0.0, **CIFAR_STEM}),  # masks of images depend on the layout
        *(
            (name, CIFAR_STEM)
            for name in (
                *("resnet18", "inception_v1", "inception_v3", "densenet121"),
                *("mobilenet_v2", "efficientnet_b0"),
            )
        ),
    ],
)
def test_other_models(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    data = small_run.arrays(size=32)
    found = {}
    for layout in ("channels_last", "channels_first"):
        found[layout], *_ = figures_of(
            tmp_path / layout,
            data,
            model=name,
            model_options={"data_format": layout, **options},
            batch_size=8,
            steps=4,
            optimizer="momentum",
            learning_rate=1e-5,  # at 1e-3, efficientnet_b0 makes 1e-5 into 10% within 12 steps
        )
    last, first = found["channels_last"], found["channels_first"]
    assert len(first) == 4
    # The second step has the gradient of the first.
    np.testing.assert_allclose(first[:2], last[:2], rtol=3e-3)
    # Each step makes the difference of the roundings larger. In inception_v3, with its 94 batch
    # norms, 4 steps make it 14%: as much as oneDNN makes it for channels last.
    if name != "inception_v3":
        np.testing.assert_allclose(first, last, rtol=2e-2)


@pytest.mark.parametrize("layer", [layers.depthwise_conv2d, layers.conv2d_transpose])
def test_building_starts_no_variable(layer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """To list the devices, tf_keras would start all variables in the session that is open."""
    monkeypatch.setattr(legacy_convolutional.base.backend, "_LOCAL_DEVICES", None)
    with tf.Graph().as_default(), tf.Session() as session, building(Tower(1)):
        x = layers.arrange(tf.zeros([1, 8, 8, 3]), "channels_first")
        x = layers.conv2d(x, 4, 3, name="conv1", use_bias=False)
        layer(x, **({} if layer is layers.depthwise_conv2d else {"filters": 2}), kernel_size=3)
        assert b"conv1/kernel" in session.run(tf.report_uninitialized_variables())
