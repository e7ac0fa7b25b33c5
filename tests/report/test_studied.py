"""Saliency, activations and filters of all kinds of runs: labels, layouts, views of images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cnnlab import layers
from cnnlab.data.datasets import Split
from cnnlab.data.specs import DatasetSpec
from cnnlab.report import report
from cnnlab.report.facts import RunFacts, Selection, load_facts
from cnnlab.report.studied import meaning_of_maps, subjects_at
from cnnlab.run.metrics.scores import Outputs
from tests import head_runs, small_run
from tests.report.parsed_page import Page

LABELS = ("bottom", "left", "right", "top", "turned")
HEADS = ("colour=red", "colour=blue", "size=s", "size=m", "size=l")


def outputs_of(logits: Any, spec: DatasetSpec) -> Outputs:
    outputs = Outputs(len(logits), spec.num_classes, spec.heads)
    values = np.array(logits, np.float32)
    outputs.add(values, values)
    return outputs


def test_what_images_are_studied_for() -> None:
    """The most probable label, the first value, or the class of the first head."""

    def found(targets: Any, names: tuple[str, ...], truth: Any, said: Any) -> tuple[Any, Any]:
        spec = DatasetSpec("small", (2, 2, 1), names, 2, 2, targets)
        split = Split(np.zeros((2, 2, 2, 1), np.uint8), np.array(truth, np.float32))
        (subject,) = subjects_at([1], outputs_of(said, spec), split, spec)
        return subject, meaning_of_maps(spec)[0]

    subject, meaning = found("labels", LABELS, [[0] * 5, [1] * 5], [[0] * 5, [0, 0.1, 0.7, 0.6, 0]])
    said = ("has bottom, left, right, top and 1 more", "most probable: right (0.700)")
    assert subject == (1, 2, "right", ("image 1", *said))
    assert meaning == "the score of the most probable label"
    subject, _ = found("labels", LABELS, [[1] * 5, [0] * 5], [[0] * 5, [0, 0.1, 0.7, 0.6, 0]])
    assert subject.caption[1] == "has no label"
    subject, meaning = found("values", ("age", "height"), [[3, 1], [4.5, 1]], [[0, 0], [0.25, 9]])
    assert subject == (1, 0, "age", ("image 1", "age: is 4.5, predicted 0.25"))
    assert meaning == "the predicted first value, age,"
    assert found("values", ("value",), [[3], [4]], [[0], [0]])[1] == "the predicted value"
    truth, said_of_heads = [[1, 0, 1, 0, 0]] * 2, [[0] * 5, [0.2, 0.8, 0, 0, 1]]
    subject, meaning = found("heads", HEADS, truth, said_of_heads)
    lines = ("image 1", "colour: is red (0.200)", "taken for blue (0.800)")
    assert subject == (1, 1, "blue", lines)
    assert meaning == "the score of the predicted class of the first head, colour,"


def facts_of(save_dir: Path, model: Any, data: Any = None, **options: Any) -> RunFacts:
    with small_run.make(save_dir, model, data, **{"steps": 1, "augment": [], **options}) as train:
        train.train()
    test = (data or small_run.arrays())[1]
    return load_facts(save_dir, Selection(images=(3, 5), data=test))


@pytest.mark.slow
def test_channels_first(tmp_path: Path) -> None:
    """The page shows what it shows of the same weights with channels last."""
    options = {"model_options": {"data_format": "channels_first"}}
    facts = facts_of(tmp_path / "run", "cifar_two_conv", **options)
    assert facts.cam_layer == "conv2"
    assert facts.filters is not None
    name, kernel = facts.filters
    assert (name, kernel.shape) == ("conv1", (3, 3, 3, 50))
    shapes = [(layer.name, layer.output_shape) for layer in facts.layers]
    assert shapes[:3] == [("conv1", (8, 8, 50)), ("conv2", (8, 8, 50)), ("pool", (4, 4, 50))]
    studied = facts.studied[0]
    pixels = tf.constant(studied.image[None] / 255, tf.float32)
    # At the first step all biases have hardly moved from 0.
    expected = tf.nn.relu(tf.nn.conv2d(pixels, kernel, 1, "SAME"))[0]
    np.testing.assert_allclose(studied.activations["conv1"], expected, atol=0.05)


def own_layout(images: Any, num_classes: int, *, training: bool) -> Any:
    """Build a network of one's own that has the channels first."""
    x = layers.arrange(images, "channels_first")
    x = layers.conv2d(x, 4, 3, activation="relu", name="conv")
    return layers.dense(layers.flatten(x, name="flatten"), num_classes, name="logits")


@pytest.mark.slow
def test_channels_first_of_an_own_network(tmp_path: Path) -> None:
    facts = facts_of(tmp_path / "run", own_layout)
    assert facts.studied[0].activations["conv"].shape == (6, 6, 4)
    assert facts.cam_layer == "conv"
    map_ = facts.studied[0].grad_cam
    assert map_ is not None
    assert map_.shape == (6, 6)
    assert facts.filters is not None


@pytest.mark.slow
def test_the_studied_image_is_the_view_of_evaluation(tmp_path: Path) -> None:
    """With scale jitter it is resized, then cropped."""
    jitter = {"size": 6, "lower": 10, "upper": 14}
    facts = facts_of(tmp_path / "run", small_run.network, augment=[{"scale_jitter": jitter}])
    image = small_run.arrays()[1][0][3]
    expected = tf.round(tf.image.resize(image, (12, 12))[3:9, 3:9])
    np.testing.assert_array_equal(facts.studied[0].image, expected)
    assert facts.studied[0].gradient.shape == (6, 6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labels", "values", "heads"])
def test_images_that_are_named(kind: str, tmp_path: Path) -> None:
    (images, _), (held_out, _) = small_run.arrays()
    rng = np.random.default_rng(4)
    labels: Any = [rng.integers(0, 2, (len(part), 4)) for part in (images, held_out)]
    model, options = small_run.linear, {"loss": "sigmoid"}
    if kind == "values":
        labels, options = [rng.normal(size=(len(part), 2)) for part in labels], {"loss": "mse"}
    data: Any = ((images, labels[0]), (held_out, labels[1]))
    if kind == "heads":
        data, model, options = head_runs.arrays(), head_runs.own_network, {}
    facts_of(tmp_path / "run", model, data, **options)
    answer = report(tmp_path / "run", data=data[1], images=[2, 0], out=tmp_path / "page")
    page = Page(Path(answer["report"]))
    assert {"saliency.png", "activations.png"} <= set(answer["pictures"])
    shown = [alt for _, alt in page.images if alt.startswith("gradient, for ")]
    assert len(shown) == 2
    of = {
        "labels": "most probable label",
        "values": "first value,",
        "heads": "first head,",
    }
    assert f"{of[kind]} " in page.text.replace("\n", " ")
    assert "image 2, " in " ".join(alt for _, alt in page.images)
    report(tmp_path / "run", data=data[1], out=tmp_path / "page")
    assert "Saliency and activations are of the images that --images names" in Page(
        tmp_path / "page/report.html"
    ).text.replace("\n", " ").replace("  ", " ")
