"""`cnnlab bottleneck`: the joined run is what training through the frozen base gives."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Train
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf
from cnnlab.bottleneck import bottleneck
from cnnlab.bottleneck.features import Base
from cnnlab.evaluate import evaluate
from cnnlab.export import export
from tests.bottleneck.small_base import (
    OPTIONS,
    arrays,
    base,
    train_source,
    unmarked,
)

HEAD = {"dense_units": [5], "dropout": 0.3}


def make(source: str, save_dir: str = "joined", **options: Any) -> dict[str, Any]:
    given = {"model": base, "data": arrays(), "init_from": source, **OPTIONS, **options}
    return bottleneck(save_dir, **given)


def values(save_dir: str, step: int) -> dict[str, Any]:
    reader = tf.train.load_checkpoint(f"{save_dir}/model.ckpt-{step}")
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.mark.slow
def test_it_equals_training_through_the_frozen_base(source: str) -> None:
    """Weights, the optimizer's state and the step are the same, up to rounding."""
    result = make(source, model_options=HEAD)
    pattern = r"^(dense1|logits)/"
    with Train(
        model=base,
        data=arrays(),
        init_from=source,
        init_skip=pattern,
        trainable=pattern,
        model_options={"filters": 4, **HEAD},
        save_dir="frozen",
        **OPTIONS,
    ) as train:
        expected = train.train()
    found, wanted = values("joined", 14), values("frozen", 14)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    start = values(source, 14)
    assert (found["conv1/kernel"] == start["conv1/kernel"]).all()
    assert (found["norm1/moving_variance"] == start["norm1/moving_variance"]).all()
    assert not (found["dense1/kernel"] == values("joined/head", 14)["dense1/kernel"] * 0).all()
    assert result["accuracy"] == expected["accuracy"]
    assert result["loss"] == pytest.approx(expected["loss"], rel=1e-4)


@pytest.mark.slow
def test_the_last_dense_layer_is_the_head_of_other_networks(tmp_path: Path) -> None:
    """Its start, its dropout and its factor are those of the network."""
    source = str(tmp_path / "source")
    with Train(model=unmarked, data=arrays(8, num_classes=4), save_dir=source, **OPTIONS) as train:
        train.train()
    made = make(source, model=unmarked, seed=5)
    pattern = r"^classes/out/"
    given = {"init_from": source, "init_skip": pattern, "trainable": pattern, "seed": 5, **OPTIONS}
    with Train(model=unmarked, data=arrays(), save_dir="frozen", **given) as train:
        expected = train.train()
    found, wanted = values("joined", 14), values("frozen", 14)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    assert (found["dense1/kernel"] == values(source, 14)["dense1/kernel"]).all()
    assert (made["accuracy"], made["bottleneck"]["features"]) == (expected["accuracy"], 6)
    by_sklearn = make(source, "svm", model=unmarked, head="sklearn_svm", epochs=None)
    assert evaluate("svm", model=unmarked, data=arrays()[1])["accuracy"] == by_sklearn["accuracy"]


@pytest.mark.slow
def test_the_joined_run_is_like_any_other(source: str) -> None:
    result = make(source, model_options=HEAD)
    figures = evaluate("joined", model=base, data=arrays()[1])
    assert figures["step"] == result["step"] == 14
    assert figures["accuracy"] == result["accuracy"]
    assert figures["loss"] == pytest.approx(result["loss"], rel=1e-5)
    assert evaluate("joined", model=base, data=arrays()[1], checkpoint="best")["n"] == 7
    assert (
        Path("joined/metrics.jsonl").read_bytes() == Path("joined/head/metrics.jsonl").read_bytes()
    )
    export("joined", model=base, out="exported", format="npz")
    with Train(model=base, data=arrays(), save_dir="joined", **{**OPTIONS, "epochs": 5}) as train:
        assert train.train()["step"] == 17  # it trains on


@pytest.mark.slow
def test_the_joined_network_is_the_head_on_the_features(source: str) -> None:
    result = make(source, model_options=HEAD)
    features = np.load(result["bottleneck"]["files"]["test"])
    weights = values("joined", 14)
    hidden = np.maximum(features @ weights["dense1/kernel"] + weights["dense1/bias"], 0)
    logits = hidden @ weights["logits/kernel"] + weights["logits/bias"]
    with Train(model=base, data=arrays(), save_dir="joined", **OPTIONS) as train:
        train.restore()
        found = train.session.run(train.logits, {train.images_ph: arrays()[1][0]})
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_features_are_those_of_an_independent_forward_pass(source: str) -> None:
    files = make(source)["bottleneck"]["files"]
    weights = values(source, 14)
    kernel, bias = weights["conv1/kernel"], weights["conv1/bias"]
    mean, variance = weights["norm1/moving_mean"], weights["norm1/moving_variance"]
    for name, (images, _) in zip(("train", "test"), arrays(), strict=True):
        padded = np.pad(images / 255.0, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = [
            padded[:, y : y + 8, x : x + 8] @ kernel[y, x] for y in range(3) for x in range(3)
        ]
        x = (sum(windows) + bias - mean) / np.sqrt(variance + 1e-3)
        x = x * weights["norm1/gamma"] + weights["norm1/beta"]
        expected = np.maximum(x, 0).mean(axis=(1, 2))
        found = np.load(files[name])
        assert (found.dtype, found.shape) == (np.float32, (len(images), 4))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_features_are_computed_once(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(source, "first")
    assert first["bottleneck"]["stored_before"] == []
    before = {path.name: path.stat().st_mtime_ns for path in Path("data/features").iterdir()}

    def refuse(*_: Any) -> Any:
        raise AssertionError("computed again")

    with monkeypatch.context() as patched:
        patched.setattr(Base, "compute", refuse)
        again = make(source, "again", seed=2, model_options=HEAD)  # another head
    assert again["bottleneck"]["stored_before"] == ["train", "test"]
    assert {p.name: p.stat().st_mtime_ns for p in Path("data/features").iterdir()} == before
    train, (images, labels) = arrays()
    images = images.copy()
    images[3, 0, 0, 0] ^= 1
    changed = make(source, "changed", data=(train, (images, labels)))
    assert changed["bottleneck"]["stored_before"] == ["train"]
    other = make(source, "scaled", scaling="symmetric")
    assert other["bottleneck"]["stored_before"] == []


@pytest.mark.slow
def test_weights_belong_to_the_key(source: str, tmp_path: Path) -> None:
    make(source, "first")
    longer = train_source(tmp_path / "longer", epochs=5)
    assert make(longer, "second")["bottleneck"]["stored_before"] == []


@pytest.mark.slow
def test_a_damaged_file_is_computed_again(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    files = make(source, "first")["bottleneck"]["files"]
    path = Path(files["train"])
    whole = path.read_bytes()
    path.write_bytes(whole[:-50])
    found = make(source, "second", quiet=False)
    assert found["bottleneck"]["stored_before"] == ["test"]
    assert "is damaged" in capsys.readouterr().err
    assert path.read_bytes() == whole


def test_a_full_disk_leaves_no_features(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(CnnlabError, match=r"cannot write .*\.npy: No space left on device"):
        make(source)
    assert list(Path("data/features").iterdir()) == []
    assert not Path("joined").exists()


@pytest.mark.slow
def test_a_support_vector_machine_by_the_hinge_loss(source: str) -> None:
    result = make(source, head="svm", epochs=30)
    with Train(model=base, data=arrays(), save_dir="joined", **{**OPTIONS, "epochs": 30}) as train:
        assert (train.config.loss, train.config.l2) == ("softmax", 0.0)  # before it reads the run
        train.restore()
        assert (train.config.loss, train.config.l2) == ("hinge", 1e-4)
        kernels = [v.shape.as_list() for v in train.train_graph.variables if "logits/k" in v.name]
    assert kernels == [[4, 2]]  # linear
    assert result["accuracy"] >= 5 / 7


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.slow
def test_the_machine_of_scikit_learn_is_joined(source: str, num_classes: int) -> None:
    """The joined run decides as scikit-learn's own pipeline does."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    data = arrays(num_classes=num_classes)
    result = make(source, data=data, head="sklearn_svm", svm_c=0.5, epochs=None)
    features = {n: np.load(file) for n, file in result["bottleneck"]["files"].items()}
    machine = LinearSVC(C=0.5, random_state=1, max_iter=10_000)
    theirs = make_pipeline(StandardScaler(), machine).fit(features["train"], data[0][1])
    decisions = theirs.decision_function(features["test"])
    with Train(model=base, data=data, save_dir="joined", batch_size=1, quiet=True) as train:
        train.restore()
        found = train.session.run(train.logits, {train.images_ph: data[1][0]})
    if num_classes == 2:
        decisions = np.stack([-decisions, decisions], axis=1)
    np.testing.assert_allclose(found, decisions, rtol=1e-3, atol=1e-3)
    figures = evaluate("joined", model=base, data=data[1])
    assert figures["confusion_matrix"] == result["bottleneck"]["confusion_matrix"]
    assert figures["loss"] == pytest.approx(result["loss"], rel=1e-4)
    with pytest.raises(
        UsageError, match=r"joined holds another run: svm_c \(0.5 there, 2.0 here\)"
    ):
        make(source, data=data, head="sklearn_svm", svm_c=2.0, epochs=None)


def test_a_forest_has_figures_but_no_network(source: str) -> None:
    result = make(source, head="random_forest", trees=20, epochs=None)
    stored = json.loads(Path("joined/result.json").read_text())
    assert stored == result
    confusion = np.array(result["bottleneck"]["confusion_matrix"])
    assert result["accuracy"] == np.trace(confusion) / confusion.sum() == np.trace(confusion) / 7
    assert [row["name"] for row in result["bottleneck"]["per_class"]] == ["0", "1"]
    with pytest.raises(CnnlabError, match="holds no run"):
        evaluate("joined", model=base, data=arrays()[1])


@pytest.mark.slow
def test_it_goes_on_after_a_stop(source: str) -> None:
    assert make(source, "cut", max_secs=1e-9)["finished"] is False
    assert not Path("cut/config.yaml").exists()
    assert make(source, "cut")["finished"] is True
    make(source, "straight")
    cut, straight = values("cut", 14), values("straight", 14)
    assert all((cut[name] == straight[name]).all() for name in straight)
    before = Path("cut/result.json").read_bytes()
    assert make(source, "cut")["step"] == 14  # is finished
    assert Path("cut/result.json").read_bytes() == before


@pytest.mark.slow
def test_the_speed_beside_the_frozen_base(source: str) -> None:
    facts = make(source, compare_steps=2)["bottleneck"]
    assert min(facts["base_step_secs"], facts["head_step_secs"]) > 0
    assert values("joined", 14)["global_step"] == 14  # the measured steps are not saved
