"""The names of options in messages, and other names of options."""

import pytest

from cnnlab import Train
from cnnlab.base import words
from cnnlab.base.errors import UsageError, nearest
from cnnlab.config import options as opts
from cnnlab.config.config import Config
from cnnlab.config.resolve import resolve
from cnnlab.config.values import words_of
from cnnlab.data.augment import AUGMENTATIONS
from cnnlab.data.specs import DATASETS
from cnnlab.models import MODELS
from cnnlab.predict import predict


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Word messages as in Python; the other tests assert them as a command prints them."""
    monkeypatch.setattr(words, "_is_command", False)


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("--learning_rate=-1 is not valid", "learning_rate=-1 is not valid"),
        ("--augment: unknown name", "augment: unknown name"),
        ("give --steps or --epochs", "give steps= or epochs="),
        (
            "fetch it with python -m cnnlab.data fetch mnist --data_dir=d, or use --dataset=shapes",
            "fetch it with python -m cnnlab.data fetch mnist --data_dir=d, or use dataset=shapes",
        ),
        ("tensorboard --logdir=x; see --lr", "tensorboard --logdir=x; see lr="),
        ("a--b, ---, -- and a-b --x-y", "a--b, ---, -- and a-b --x-y"),
    ],
)
def test_python_names_arguments_and_commands_name_flags(text: str, python: str) -> None:
    assert words.worded(text) == text
    assert str(UsageError(text)) == text
    words._is_command = False
    try:
        assert words.worded(text) == python
        assert str(UsageError(text)) == python
        with words.words_of_a_command():
            assert words.worded(text) == text
        assert words.worded(text) == python
    finally:
        words._is_command = True


@pytest.mark.usefixtures("in_python")
def test_errors_of_functions_name_their_arguments() -> None:
    with pytest.raises(UsageError, match=r"^learning_rate=-1 is not valid: it must be greater th"):
        Train(learning_rate=-1)
    with pytest.raises(UsageError, match=r"^steps= and epochs= both set the length of the run"):
        Train(steps=1, epochs=1)
    with pytest.raises(UsageError, match=r"^top=0 is not valid"):
        predict(["a.png"], top=0)


def test_aliases_are_other_names_in_flags_python_and_recipes() -> None:
    assert set(words.ALIASES.values()) <= set(opts.fields_of(Config))
    assert not set(words.ALIASES) & set(opts.fields_of(Config))
    config = resolve({"lr": 0.5, "bs": 7, "wd": 1e-4, "epoch": 2})
    assert (config.learning_rate, config.batch_size, config.epochs) == (0.5, 7, 2)
    assert config.weight_decay == 1e-4
    with open("mine.yaml", "w") as file:
        file.write("lr: 0.25\nbatch: 9\noptimizer: SGD\n")
    config = resolve({"config": "mine.yaml", "bs": 3})
    assert (config.learning_rate, config.batch_size, config.optimizer) == (0.25, 3, "sgd")
    train = Train(lr=0.5, config="mine.yaml")
    assert train.config.learning_rate == 0.5
    with pytest.raises(
        UsageError, match="--lr and --learning_rate are the same option; give one of them"
    ):
        resolve({"lr": 0.5, "learning_rate": 0.5})


@pytest.mark.parametrize("augment", ["flip", ["flip"], "[flip]"])
def test_one_name_is_a_list_of_one(augment: object) -> None:
    value = opts.parse_text("augment", augment, Config) if isinstance(augment, str) else augment
    assert opts.build(Config, {"augment": value}).augment == ["flip"]


def test_augment_accepts_names_with_commas_and_one_mapping() -> None:
    assert opts.build(Config, {"augment": "flip, cutout"}).augment == ["flip", "cutout"]
    one = {"pad_and_crop": {"pixels": 4}}
    assert opts.build(Config, {"augment": one}).augment == [one]
    assert opts.build(Config, {"augment": "none"}).augment == []


@pytest.mark.parametrize(
    ("word", "known", "ours"),
    [
        ("resnet", MODELS, "resnet20"),
        ("ResNet", MODELS, "resnet20"),
        ("vgg", MODELS, "vgg16"),
        ("CIFAR-10", DATASETS, "cifar10"),
        ("lr_decay", opts.fields_of(Config), "decay_rate"),
        ("dropout", opts.fields_of(Config), 'model_options={"dropout": 0.5}'),
        ("l2_reg", opts.fields_of(Config), "l2"),
        ("weightdecay", opts.fields_of(Config), "weight_decay"),
        ("horizontal_flip", AUGMENTATIONS, "flip"),
        ("T-Shirt", ["T-shirt", "Coat"], "T-shirt"),
    ],
)
def test_a_word_of_the_field_is_answered_by_its_meaning(
    word: str, known: object, ours: str
) -> None:
    assert nearest(word, known) == f"; did you mean {ours}?"  # type: ignore[arg-type]


def test_every_meaning_is_a_name_that_is_there() -> None:
    fields = opts.fields_of(Config)
    values = {word for field in fields.values() for word in words_of(field.annotation)}
    known = {*fields, *values, *MODELS, *DATASETS, *AUGMENTATIONS}
    for word, meanings in words.MEANT.items():
        assert word not in fields, word
        for meaning in meanings:
            name, _, value = meaning.partition("=")
            assert name in known, meaning
            if value:
                opts.build(Config, {name: opts.parse_text(name, value, Config)})
