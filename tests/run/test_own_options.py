"""Options that name functions of the user's own: as text, in recipes, from run directories."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from cnnlab import Train, tf
from cnnlab.base.errors import CnnlabError, NonFiniteError, UsageError
from cnnlab.evaluate import evaluate
from cnnlab.run.own_code import OwnCode
from tests import commands, small_run

FILE = """
from cnnlab import tf

def crossed(labels, logits):
    return 2 * tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)

def adagrad(learning_rate):
    return tf.train.AdagradOptimizer(learning_rate)

def falling(step):
    return 0.01 / (1.0 + tf.cast(step, tf.float32))

def top2(labels, logits):
    return tf.nn.in_top_k(logits, labels, 2)

def brighter(images, key, *, by=1.0):
    return images + by * tf.random.stateless_uniform([], seed=key)

def three(a, b, c):
    return a
"""
NAMES: dict[str, Any] = {
    "loss": "my.py:crossed",
    "optimizer": "my.py:adagrad",
    "schedule": "my.py:falling",
    "metrics": {"top2": "my.py:top2"},
    "augment": ["flip", {"my.py:brighter": {"by": 5.0}}],
}


@pytest.fixture(autouse=True)
def file(in_folder_of_its_own: None) -> Path:
    path = Path("my.py").absolute()
    path.write_text(FILE)
    return path


def make(folder: Path | str, **options: Any) -> Train:
    given = {"learning_rate": 0.001, "augment": [], "quiet": True, **options}
    return small_run.make(folder, small_run.linear, **given)


@pytest.mark.slow
def test_functions_of_a_file_by_their_names(file: Path, monkeypatch: Any, tmp_path: Path) -> None:
    """A run is resumed from another folder, where its copy of the file is used."""
    logs = str(tmp_path / "logs")
    with make("run", **NAMES, steps=4, log_dir=logs) as train:
        first = train.train()
    assert 0 <= first["top2"] <= 1
    (last,) = [
        line
        for line in map(json.loads, Path("run/metrics.jsonl").read_text().splitlines())
        if line["split"] == "val"
    ]
    assert last["top2"] == first["top2"]
    assert last["learning_rate"] == pytest.approx(0.01 / 4)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    file.unlink()
    given = {"learning_rate": 0.001, "augment": NAMES["augment"], "log_dir": logs}
    with small_run.make(tmp_path / "run", small_run.linear, steps=6, **given) as train:
        assert train.train()["step"] == 6
        found = small_run.variables(train)
    assert "logits/kernel/Adagrad" in found
    file.write_text(FILE)
    monkeypatch.chdir(tmp_path)
    with make("whole", **NAMES, steps=6) as train:
        train.train()
        small_run.assert_same_bits(found, small_run.variables(train))


@pytest.mark.slow
def test_functions_themselves_are_recorded_by_the_same_names(file: Path) -> None:
    code = OwnCode()
    config = Train(**NAMES, dataset="shapes").config
    code.complete(config)
    functions = code.functions_of(config)
    given = {
        "loss": functions["loss"],
        "optimizer": functions["optimizer"],
        "schedule": functions["schedule"],
        "metrics": {"top2": functions["metrics.top2"]},
        "augment": ["flip", {functions["augment.1"]: {"by": 5.0}}],
    }
    assert OwnCode().take(given) == NAMES
    entries = OwnCode().take({"augment": functions["augment.1"]})["augment"]
    assert entries == ["my.py:brighter"]


def test_two_lambdas_of_one_file_are_two_functions() -> None:
    augment = [lambda images, key: images + 100, lambda images, key: images * 0]
    with make("run", augment=augment, optimizer=lambda r: tf.train.AdamOptimizer(r)) as train:
        train.build_graph()
        functions = list(train.train_graph.parts.augmentations.values())
    assert functions == augment


@pytest.mark.slow
def test_a_run_with_another_loss_is_not_resumed() -> None:
    with make("run", loss="my.py:crossed", steps=2) as train:
        train.train()
    Path("my.py").write_text(FILE.replace("2 *", "3 *"))
    with (
        make("run", loss="my.py:crossed", steps=4) as train,
        pytest.raises(UsageError, match="other loss code"),
    ):
        train.train()


@pytest.mark.slow
def test_other_metrics_are_no_other_run() -> None:
    with make("run", metrics={"top2": "my.py:top2"}, steps=2) as train:
        train.train()
    Path("my.py").write_text(FILE.replace("labels, 2", "labels, 3"))
    with make("run", metrics={"top3": "my.py:top2"}, steps=4) as train:
        assert "top3" in train.train()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "my.py:cross"}, r"my\.py has no cross; did you mean crossed"),
        ({"loss": "your.py:crossed"}, "there is no file"),
        (
            {"loss": "my.py:three"},
            r"my\.py:\d+ \(three\) cannot be called as loss",
        ),
        ({"optimizer": "my.py:three"}, r"called as optimizer\(learning_rate\): missing"),
        ({"schedule": "my.py:crossed"}, r"called as schedule\(step\): missing"),
        ({"metrics": {"x": "my.py:three"}}, r"--metrics: x: my\.py:\d+"),
        ({"augment": ["my.py:three"]}, r"called as augmentation\(images, key\): missing"),
        ({"augment": [{"my.py:brighter": {"to": 1}}]}, "takes no to; it takes: by"),
        ({"metrics": [tf.argmax]}, r"--metrics takes names, as in \{top3: FILE.py:top3\}"),
        ({"optimizer": 3}, "--optimizer is an object of type int, not a name or a function"),
        ({"metrics": {"loss": "my.py:top2"}}, "loss is taken"),
        ({"metrics": {"top 2": "my.py:top2"}}, "top 2 is not a name"),
        ({"metrics": {"top2": "top2"}}, "not valid"),
        ({"loss": "my.py:crossed", "label_smoothing": 0.1}, "--label_smoothing does not act"),
        ({"schedule": "my.py:falling", "warmup_steps": 2}, "--warmup_steps=2 has no effect"),
        ({"schedule": "my.py:falling", "learning_rate": 0.1}, "--learning_rate=0.1 has no effect"),
        ({"optimizer": "my.py:adagrad", "momentum": 0.9}, "--momentum has no meaning"),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, str) else "",
)
@pytest.mark.slow
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        make("run", **options)
    assert "\n" not in str(raised.value)


def test_a_file_that_does_not_import_names_its_line() -> None:
    Path("broken.py").write_text("x = 1\ny = x / 0\n")
    with pytest.raises(UsageError, match=r"broken\.py:2 .*ZeroDivisionError"):
        make("run", loss="broken.py:loss")


def test_a_loss_that_is_not_finite_is_named() -> None:
    def loss(labels: Any, logits: Any) -> Any:
        return tf.log(tf.reduce_min(logits, axis=1) - 1e9)

    with (
        make("run", loss=loss) as train,
        pytest.raises(NonFiniteError, match=r"test_own_options\.py:\d+ \(loss\) is nan at st"),
    ):
        train.train()


def test_a_rate_that_becomes_nan_is_named() -> None:
    def schedule(step: Any) -> Any:
        return tf.sqrt(3.5 - tf.cast(step, tf.float32))

    with (
        make("run", schedule=schedule) as train,
        pytest.raises(CnnlabError, match=r"test_own_options\.py:\d+ \(schedule\).*not finite"),
    ):
        train.train()


def test_an_optimizer_must_use_its_rate() -> None:
    with (
        make("run", optimizer=lambda rate: tf.train.AdamOptimizer(0.1)) as train,
        pytest.raises(CnnlabError, match="does not use the learning rate"),
    ):
        train.build_graph()


def test_an_optimizer_for_old_variables_is_refused_in_one_line() -> None:
    class Old(tf.train.Optimizer):  # type: ignore[misc]
        def _apply_dense(self, grad: Any, var: Any) -> Any:
            return var.assign_sub(grad)

    with (
        make("run", optimizer=lambda rate: Old(False, "Old")) as train,
        pytest.raises(CnnlabError, match="has no _resource_apply_dense"),
    ):
        train.build_graph()


def test_an_optimizer_draws_no_random_numbers() -> None:
    class Noisy(tf.train.Optimizer):  # type: ignore[misc]
        def _resource_apply_dense(self, grad: Any, handle: Any) -> Any:
            return handle.assign_sub(rates[0] * grad * tf.random_uniform([]))

    rates: list[Any] = []

    def noisy(learning_rate: Any) -> Any:
        rates[:] = [learning_rate]
        return Noisy(False, "Noisy")

    cases: list[dict[str, Any]] = [
        {},
        {"micro_batches": 2},
        {"parameter_groups": {"bias": {"steps": 2}}},
    ]
    for options in cases:
        with (
            make("run", optimizer=noisy, **options) as train,
            pytest.raises(CnnlabError, match=r"_resource_apply_dense.*RandomUniform"),
        ):
            train.build_graph()
    with make("run", optimizer=noisy, allow_stateful_random=True) as train:
        train.build_graph()


def test_a_loss_without_weights_is_refused() -> None:
    """Before, the run counted its steps and learned nothing."""

    def constant(images: Any, num_classes: int, *, training: bool) -> Any:
        return tf.zeros([tf.shape(images)[0], num_classes])

    with (
        small_run.make("run", constant) as train,
        pytest.raises(CnnlabError, match="no gradient with respect to any variable"),
    ):
        train.build_graph()


def run_command(module: str, *words: str, cwd: Path) -> commands.Finished:
    return commands.finish(commands.start(module, *words, cwd=cwd), cwd)


@pytest.mark.slow
def test_the_command_line_and_a_recipe(tmp_path: Path) -> None:
    Path("my.yaml").write_text(
        "dataset: shapes\nmodel: mnist_perceptron\nbatch_size: 50\nloss: my.py:crossed\n"
        "schedule: my.py:falling\naugment: [{my.py:brighter: {by: 5.0}}]\n"
    )
    words = ["--config=my.yaml", "--optimizer=my.py:adagrad", "--metrics={two: my.py:top2}"]
    done = run_command("cnnlab.train", *words, "--steps=3", "--json", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert 0 <= json.loads(done.stdout)["two"] <= 1
    done = run_command("cnnlab.evaluate", cwd=tmp_path)
    assert re.search(r"loss \d+\.\d+, two 0\.\d+", done.stdout), done.stderr
    done = run_command(
        "cnnlab.data", "show", "--config=my.yaml", "--images=4", "--batch_size=4", cwd=tmp_path
    )
    assert done.code == 0, done.stderr


@pytest.mark.slow
def test_functions_of_one_file_share_its_copy_and_run_it_once(
    file: Path, monkeypatch: Any, capsys: Any, tmp_path: Path
) -> None:
    """A file may register things, such as gradients, which it can do only once."""
    file.write_text(FILE + "\nprint('my.py runs')\n")
    with make("run", **NAMES, steps=2) as train:
        train.train()
    assert capsys.readouterr().out.count("my.py runs") == 1
    assert [path.name for path in Path("run/code").rglob("my.py")] == ["my.py"]
    file.unlink()
    found = evaluate("run", data=small_run.arrays()[1])
    assert 0 <= found["top2"] <= 1
    said = capsys.readouterr()
    assert said.out.count("my.py runs") == 1
    assert said.err.count("my.py is gone since this run began") == 1
    # The model comes from the copy, and the program still has its own package.
    assert sys.modules["tests.small_run"] is small_run
