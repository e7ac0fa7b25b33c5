"""Facts about the named data sets that need no file: classes, sizes, checksums."""

import dataclasses
import itertools
import math
import os
from typing import Final, Literal, NamedTuple

from cnnlab.base.errors import UsageError, nearest

_CIFAR10_CLASSES: Final = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100_COARSE_CLASSES: Final = """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices
    household_furniture insects large_carnivores large_man-made_outdoor_things
    large_natural_outdoor_scenes large_omnivores_and_herbivores medium_mammals
    non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2"""
_CIFAR100_FINE_CLASSES: Final = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
    cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
    lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
    oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
    possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
    spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
    train trout tulip turtle wardrobe whale willow_tree wolf woman worm"""
_FASHION_CLASSES: Final = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
SHAPES_CLASSES: Final = (
    *("circle", "ring", "square", "frame", "triangle"),
    *("diamond", "cross", "saltire", "crescent", "bars"),
)

LABEL_MODES: Final = ("fine", "coarse")

Targets = Literal["classes", "labels", "values", "heads"]
ImageRange = tuple[float, float]  # black and white
# The range of numbers that are no pixels, such as features: they are used as they are.
AS_GIVEN: Final[ImageRange] = (-math.inf, math.inf)
Background = Literal["dark", "light"]
OF_HEAD: Final = "="  # between the name of a head and that of a class


class Head(NamedTuple):
    """One kind of classes of a data set that has several kinds.

    name: letters, digits and _.
    class_names: one name per class, without that of the head.
    columns: where its classes are in labels, logits and probabilities of all heads.
    """

    name: str
    class_names: tuple[str, ...]
    columns: slice


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """The facts about a data set that graphs and reports use.

    image_shape: (height, width, channels), height and width in pixels.
    class_names: one name per class, in the order of the labels; or per label or value. Of several
        heads, HEAD=CLASS, head after head.
    num_train, num_test: number of images before the validation split.
    targets: what the labels are; see `cnnlab.data.array_labels`.
    image_range: (black, white) of float32 images, or AS_GIVEN; None: images are uint8, 0 to 255.
    background: that of the training images, see `cnnlab.data.image_files.borders`; None: neither.
    divided: for pictures, a digest of which picture is in which split, if their folders do not
        decide it.
    skipped: the paths of pictures that could not be read and that the run does without.
    """

    name: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    num_train: int
    num_test: int
    targets: Targets = "classes"
    image_range: ImageRange | None = None
    background: Background | None = None
    divided: str | None = None
    skipped: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of classes, labels or values, which is that of the network's outputs."""
        return len(self.class_names)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The heads, in the order of their classes; none if the targets are no heads."""
        if self.targets != "heads":
            return ()
        found: dict[str, list[str]] = {}
        for both in self.class_names:
            head, _, name = both.partition(OF_HEAD)
            found.setdefault(head, []).append(name)
        starts = itertools.accumulate(map(len, found.values()), initial=0)
        return tuple(
            Head(name, tuple(classes), slice(start, start + len(classes)))
            for (name, classes), start in zip(found.items(), starts, strict=False)
        )

    def describe_heads(self) -> str:
        """Return a line for people: the heads and their numbers of classes; "" without heads."""
        words = [f"{head.name} ({len(head.class_names)} classes)" for head in self.heads]
        return f"heads: {', '.join(words)}" if words else ""


DATASETS: Final[dict[str, DatasetSpec]] = {
    spec.name: spec
    for spec in (
        DatasetSpec("cifar10", (32, 32, 3), tuple(_CIFAR10_CLASSES.split()), 50000, 10000),
        DatasetSpec("cifar100", (32, 32, 3), tuple(_CIFAR100_FINE_CLASSES.split()), 50000, 10000),
        DatasetSpec("mnist", (28, 28, 1), tuple("0123456789"), 60000, 10000, background="dark"),
        DatasetSpec(
            "fashion_mnist", (28, 28, 1), _FASHION_CLASSES, 60000, 10000, background="dark"
        ),
        DatasetSpec(
            "mnist_distorted", (28, 28, 1), tuple("0123456789"), 60000, 10000, background="dark"
        ),
        DatasetSpec("shapes", (32, 32, 3), SHAPES_CLASSES, 5000, 1000),
    )
}
DESCRIPTIONS: Final = {
    "cifar10": "photographs of animals and vehicles",
    "cifar100": "photographs; with --label_mode=coarse 20 classes",
    "mnist": "handwritten digits, white on black",
    "fashion_mnist": "pieces of clothing, white on black",
    "mnist_distorted": "the digits of mnist, each rotated, scaled and shifted once and for all",
    "shapes": "simple shapes that the program draws; nothing is downloaded",
}
# Data sets that the program makes from the files of another one.
MADE_FROM: Final = {"mnist_distorted": "mnist"}
_CIFAR100_COARSE: Final = dataclasses.replace(
    DATASETS["cifar100"], class_names=tuple(_CIFAR100_COARSE_CLASSES.split())
)


def dataset_spec(name: str, label_mode: str = "fine") -> DatasetSpec:
    """Return the facts about a data set, without reading any file.

    Args:
        name: one of DATASETS.
        label_mode: "fine", or for cifar100 also "coarse" (its 20 superclasses).

    Raises:
        UsageError: unknown name or label mode.
    """
    if name not in DATASETS:
        hint = nearest(name, DATASETS) or f"; known: {', '.join(DATASETS)}"
        if os.path.exists(name):
            kind = "list" if os.path.isfile(name) else "folder"
            hint = f"; for pictures in {name}, write --dataset={kind}:{name}"
        raise UsageError(f"unknown dataset {name}{hint}")
    if label_mode not in LABEL_MODES:
        raise UsageError(f"unknown label_mode {label_mode!r}: choose {' or '.join(LABEL_MODES)}")
    if label_mode == "fine":
        return DATASETS[name]
    if name != "cifar100":
        raise UsageError(f"label_mode 'coarse' is for cifar100 only; use 'fine' for {name}")
    return _CIFAR100_COARSE


class OfficialFile(NamedTuple):
    """One file of a data set in its official, uncompressed form.

    name: file name.
    shape: the shape of its content: [records, record bytes], or the dimensions of an IDX file.
    sha256: checksum of the whole file; None if unknown.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str | None

    @property
    def is_idx(self) -> bool:
        return "-idx" in self.name

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) + (4 + 4 * len(self.shape) if self.is_idx else 0)

    @property
    def is_test(self) -> bool:
        return self.name.startswith(("test", "t10k"))


def _mnist_files(*checksums: str | None) -> tuple[OfficialFile, ...]:
    # Images before labels, train before test: `load_dataset` reads them in pairs.
    train_images, train_labels, test_images, test_labels = checksums
    return (
        OfficialFile("train-images-idx3-ubyte", (60000, 28, 28), train_images),
        OfficialFile("train-labels-idx1-ubyte", (60000,), train_labels),
        OfficialFile("t10k-images-idx3-ubyte", (10000, 28, 28), test_images),
        OfficialFile("t10k-labels-idx1-ubyte", (10000,), test_labels),
    )


_CIFAR10_SHA256: Final = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}

OFFICIAL_FILES: Final[dict[str, tuple[OfficialFile, ...]]] = {
    "cifar10": tuple(
        OfficialFile(name, (10000, 3073), sha256) for name, sha256 in _CIFAR10_SHA256.items()
    ),
    "cifar100": (
        OfficialFile("train.bin", (50000, 3074), None),
        OfficialFile("test.bin", (10000, 3074), None),
    ),
    "mnist": _mnist_files(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "fashion_mnist": _mnist_files(None, None, None, None),
}
# The folder below data_dir into which each data set is fetched.
OFFICIAL_FOLDERS: Final = {
    "cifar10": "cifar-10-batches-bin",
    "cifar100": "cifar-100-binary",
    "mnist": "mnist",
    "fashion_mnist": "fashion_mnist",
}


def label_files(name: str) -> dict[str, str]:
    """Return the text files of class names in the data folder, as {file name: content}."""
    coarse, fine = _CIFAR100_COARSE.class_names, DATASETS[name].class_names
    if name == "cifar10":
        return {"batches.meta.txt": "\n".join(fine) + "\n"}
    if name == "cifar100":
        return {
            "coarse_label_names.txt": "\n".join(coarse) + "\n",
            "fine_label_names.txt": "\n".join(fine) + "\n",
        }
    return {}
