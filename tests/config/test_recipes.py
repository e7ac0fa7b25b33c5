"""Recipes are found by name or path. Those that come with the package are valid."""

import json
import re
from pathlib import Path

import pytest

from cnnlab.base.errors import UsageError
from cnnlab.config.config import Config
from cnnlab.config.options import parse_text
from cnnlab.config.recipes import load_about, load_recipe, recipe_paths
from cnnlab.config.resolve import resolve
from cnnlab.data.augment import parse_augmentations, shape_after
from cnnlab.models import check_model_options, find_model
from cnnlab.run.hook import is_time
from cnnlab.tune.options import TuneOptions
from tests.commands import ROOT

MEASURED = json.loads((ROOT / "results/reproduction.json").read_text(encoding="utf-8"))
SHIPPED = ("cifar_cnn", "mnist_cnn", "mnist_convnet", "mnist_perceptron")


def test_the_shipped_recipes_are_there() -> None:
    assert set(SHIPPED) <= set(recipe_paths())


@pytest.mark.parametrize("name", recipe_paths())
def test_a_shipped_recipe_is_valid_and_says_where_it_is_from(name: str) -> None:
    config = resolve({"config": name})
    check_model_options(find_model(config.model), config.model_options)
    parse_augmentations(config.augment)
    text = recipe_paths()[name].read_text()
    for part in ("# Source: ", f"# Command: python -m cnnlab.train --config={name}\n", "Expected"):
        assert part in text


def test_a_shipped_recipe_says_who_chose_its_settings() -> None:
    about = {name: load_about(name) for name in recipe_paths()}
    for name, facts in about.items():
        assert facts.get("text") in (*"ABCDEFGHIJKLMNOP", "records"), name
        assert facts.get("chosen"), f"{name}: say in about who chose its settings on which images"
        assert not {"claimed", "aim"} <= set(facts), f"{name}: an aim is for texts without a claim"
        if "better_than" in facts:
            assert about[facts["better_than"]]["text"] == facts["text"], name
    for row in MEASURED:
        facts = about[row["system"]]
        assert (row["claimed"], row.get("aim")) == (facts.get("claimed"), facts.get("aim")), row


def percentages(text: str) -> set[str]:
    """Return the numbers before each "%", also those of a list such as "97.7, 97.8 and 97.9%"."""
    lists = re.findall(r"(?:[\d.]+%?(?:,| and| to)\s+)*\d[\d.]*%", text)
    return {number.rstrip(".") for found in lists for number in re.findall(r"\d[\d.]*", found)}


def test_the_accuracies_in_a_recipes_comments_are_claims_aims_or_results() -> None:
    assert percentages("97.73,\n97.85 and 98.0% of 3 seeds, 5 to 6") == {"97.73", "97.85", "98.0"}
    about = [load_about(name) for name in recipe_paths()]
    stated = {100 * facts[key] for facts in about for key in ("claimed", "aim") if key in facts}
    for name, path in recipe_paths().items():
        known = set(stated)
        for row in (row for row in MEASURED if row["system"] == name):
            for key in ("accuracies", "accuracies_without_views", "train_accuracies"):
                known |= {100 * figure for figure in row.get(key) or []}
            known.add(100 * row["reached"])
        comments = "\n".join(re.findall(r"#(.*)", path.read_text(encoding="utf-8")))
        for number in percentages(comments):
            digits = len(number.partition(".")[2])
            assert float(number) in {round(figure, digits) for figure in known}, (name, number)


def test_the_texts_figures() -> None:
    """The recipes of the four texts have the figures that the texts state."""
    figures = {
        name: (c.dataset, c.model, c.batch_size, c.optimizer, c.learning_rate, c.steps)
        for name in SHIPPED
        for c in [resolve({"config": name})]
    }
    assert figures == {
        "cifar_cnn": ("cifar10", "cifar_cnn", 500, "adam", 0.001, 20_000),
        "mnist_cnn": ("mnist", "mnist_cnn", 50, "adam", 0.0001, 20_000),
        "mnist_convnet": ("mnist", "mnist_convnet", 100, "adam", 0.001, 200),
        "mnist_perceptron": ("mnist", "mnist_perceptron", 100, "sgd", 0.5, 4000),
    }
    cifar = resolve({"config": "cifar_cnn"})
    assert (cifar.schedule, cifar.decay_steps, cifar.decay_rate) == ("exponential", 1000, 0.9)
    assert cifar.max_to_keep is None


def test_the_texts_figures_of_the_small_networks() -> None:
    figures = {
        name: (c.dataset, c.batch_size, c.optimizer, c.learning_rate, c.schedule, c.steps, c.epochs)
        for name in ("cifar_lrn", "mnist_simple", "fashion_simple", "cifar_two_conv")
        for c in [resolve({"config": name})]
    }
    simple = (128, "adam", 0.001, "constant", None, 2)
    assert figures == {
        "cifar_lrn": ("cifar10", 128, "adam", 0.001, "constant", 3000, None),
        "mnist_simple": ("mnist", *simple),
        "fashion_simple": ("fashion_mnist", *simple),
        "cifar_two_conv": ("cifar10", 64, "momentum", 0.01, "constant", None, 3),
    }
    distortions = [{"random_crop": {"size": 24}}, "flip", {"brightness": {"max_delta": 63}}]
    distortions += [{"contrast": {"lower": 0.2, "upper": 1.8}}, "standardize"]
    for name in ("cifar_lrn", "cifar_lrn_cosine", "cifar_lrn_long"):
        assert resolve({"config": name}).augment == distortions
    long = resolve({"config": "cifar_lrn_long"})
    assert (long.model, long.optimizer, long.batch_size) == ("cifar_lrn", "nesterov", 128)


def test_the_texts_figures_of_the_networks_in_the_style_of_vgg() -> None:
    for step, epochs in enumerate((20, 10, 10, 20), start=1):
        config = resolve({"config": f"cifar_vgg{step}_text"})
        assert (config.model, config.epochs) == (f"cifar_vgg{step}", epochs)
        assert (config.optimizer, config.momentum, config.schedule) == ("momentum", 0.9, "constant")
        assert (config.augment, config.tta, config.weight_decay, config.clip_norm) == (
            *([], "none", 0, None),
        )
    for name in recipe_paths():  # what a text claims must be reached without test-time views
        if load_about(name)["text"] != "records" and "claimed" in load_about(name):
            assert resolve({"config": name}).tta == "none", name


def test_the_texts_figures_of_pictures() -> None:
    xray = resolve({"config": "xray_cnn"})
    assert xray.dataset.endswith("/data/chest_xray")
    assert (xray.image_size, xray.interpolation, xray.scaling) == ([1024, 1024], "nearest", "unit")
    assert (xray.model, xray.class_mode, xray.loss) == ("xray_cnn", "categorical", "softmax")
    assert (xray.optimizer, xray.learning_rate, xray.schedule) == ("adam", 0.001, "constant")
    assert (xray.steps, xray.eval_steps) == (10 * 16, 16)
    assert (xray.batch_size, xray.eval_examples, xray.validate_on) == (8, 8 * 8, "test")
    assert (xray.augment, xray.class_weights) == ([], None)
    distortions = [
        "flip",
        {"shear": {"amount": 0.3, "mode": "nearest"}},
        {"zoom": {"amount": 0.3, "each_axis": True, "mode": "nearest"}},
    ]
    for name, augment in (("cats_dogs", []), ("cats_dogs_augmented", distortions)):
        c = resolve({"config": name})
        assert c.dataset.endswith("/data/cats_dogs")
        assert (c.image_size, c.batch_size, c.steps, c.eval_steps) == ([150, 150], 200, 50 * 10, 10)
        assert (c.model, c.class_mode, c.optimizer) == ("cats_dogs", "categorical", "adam")
        assert c.model_options == {"pool_size": 8, "dropout": 0.3}
        assert (c.augment, c.eval_examples) == (augment, None)


def test_the_recipe_of_the_record() -> None:
    """The recipe of the record has its schedule, and the products that its text states."""
    c = resolve({"config": "airbench94"})
    assert (c.batch_size, c.steps, c.optimizer, c.momentum) == (1024, 476, "nesterov", 0.85)
    assert (c.learning_rate, c.start_factor, c.peak_at, c.end_factor) == (1.5, 0.2, 0.23, 0.07)
    shifts = c.parameter_groups["norm/beta"]
    assert c.learning_rate * shifts["rate"] == 96
    assert c.weight_decay * shifts["weight_decay"] == pytest.approx(2.08e-5, rel=1e-3)
    assert c.parameter_groups["whitening/bias"] == {"weight_decay": 1, "steps": 3 * 48}
    assert (c.lookahead_decay, c.lookahead_steps) == (pytest.approx(0.95**5), 5)
    assert c.label_smoothing == 0.2


def test_the_ablations_that_the_text_names() -> None:
    """The comment of the recipe has their flags, which are valid."""
    flags = re.findall(r"--(\w+)='(.*?)'", recipe_paths()["cifar_lrn"].read_text())
    assert [name for name, _ in flags] == ["model_options", "model_options", "augment"]
    for name, text in flags:
        config = resolve({"config": "cifar_lrn", name: parse_text(name, text, Config)})
        check_model_options(find_model(config.model), config.model_options)
        assert shape_after(config.augment, (32, 32, 3)) == (24, 24, 3)  # the same weights


def test_the_last_mini_batch_of_each_epoch_is_shown() -> None:
    """The program with two convolutions prints its accuracy after each of the three epochs."""
    config = resolve({"config": "cifar_two_conv"})
    assert config.epochs == 3
    for step in (epoch * 50_000 // config.batch_size for epoch in (1, 2, 3)):
        assert is_time(step, config.summary_steps, total_steps=2344)


def test_a_recipe_has_the_space_of_a_search() -> None:
    """Training leaves it out; the search takes it unless it is given another one."""
    assert "space" not in load_recipe("tune_mnist")
    options = resolve({"config": "tune_mnist"}, TuneOptions)
    space = options.parsed_space()
    points, left_out = space.grid(options.run_options(), resolve)
    assert (space.grid_size, len(points), left_out) == (8, 8, "")
    given = resolve({"config": "tune_mnist", "space": {"seed": [1, 2]}}, TuneOptions)
    assert given.given_space() == {"seed": [1, 2]}
    Path("wrong.yaml").write_text("space: [1]")
    with pytest.raises(UsageError, match=r"recipe wrong\.yaml: space must be a mapping"):
        resolve({"config": "wrong.yaml"}, TuneOptions)


def test_a_recipe_by_path(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("batch_size: 7\naugment: [flip]\n")
    assert load_recipe("own.yaml") == {"batch_size": 7, "augment": ["flip"]}
    assert load_recipe(str(tmp_path / "own.yaml"))["batch_size"] == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"batch_size: [", r"own\.yaml is not valid YAML: "),
        (b"\xff\xfe", r"own\.yaml is not UTF-8 text: "),
        (b"- batch_size", "is not a mapping of option names"),
        (b"", "is not a mapping of option names"),
        (b"1: 2", "is not a mapping of option names"),
        (b"config: cifar_cnn", "may not name another recipe"),
        (b"!!python/object/apply:os.getcwd []", "is not valid YAML"),
    ],
)
def test_a_recipe_that_is_not_valid(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_bytes(content)
    with pytest.raises(UsageError, match=message) as error:
        load_recipe("own.yaml")
    assert "\n" not in str(error.value)


def test_unknown_recipes() -> None:
    with pytest.raises(UsageError, match=r"unknown recipe cifar_cmn; did you mean cifar_cnn\?"):
        load_recipe("cifar_cmn")
    with pytest.raises(UsageError, match=r"unknown recipe q; known: .*cifar_cnn, .*mnist_cnn"):
        load_recipe("q")
    with pytest.raises(UsageError, match=r"no recipe file there\.yml"):
        load_recipe("there.yml")
