"""Measure what a pretrained network gains on few pictures: cats and dogs, 100 of each.

    python scripts/transfer_study.py --data_dir=./data --work_dir=./save/transfer
    python scripts/pages.py

A network is trained on the eight classes of CIFAR-10 that are neither cat nor dog. Then each method
learns cats from dogs, from 100 pictures of each that are written as JPEG files in folders, and is
tested on the 2,000 test images of both classes. Each seed takes other pictures. All settings were
fixed before the first run, and nothing is chosen by the test images.

Each run has a folder below --work_dir. A finished run is not repeated and a stopped one is resumed,
so the script can be called until all runs are finished. It writes results/transfer.json.
"""

import argparse
import io
import json
import math
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout's scripts and cnnlab

from cnnlab import Train, layers
from cnnlab.base.files import write_atomically
from cnnlab.base.machine import joined_provenance
from cnnlab.config.resolve import resolve
from cnnlab.data.arrays import dataset_from_arrays
from cnnlab.data.datasets import Dataset, Split, load_dataset, split_validation
from cnnlab.data.training_data import TrainingData
from cnnlab.run.disk.config_file import CONFIG_FILE, load_config, load_run_data, read_provenance
from cnnlab.run.trained_model import TrainedModel

ROOT: Final = Path(__file__).resolve().parents[1]
PAIR: Final = ("cat", "dog")
SHOWN: Final = 100  # training pictures of each class
SEEDS: Final = 5

NETWORK: Final[dict[str, Any]] = {
    "model": "resnet20",
    "scaling": "torch",
    "optimizer": "momentum",
    "weight_decay": 1e-4,
    "schedule": "one_cycle",
    "eval_examples": None,
    "max_to_keep": 1,
}
AUGMENT: Final = ["flip", {"pad_and_crop": {"pixels": 4}}]
PRETRAINING: Final[dict[str, Any]] = {
    **NETWORK,
    "augment": AUGMENT,
    "batch_size": 128,
    "epochs": 8,
    "learning_rate": 0.2,
    "seed": 1,
    "summary_steps": 50,
    "eval_steps": 500,
    "checkpoint_steps": 200,
}
OF_PAIR: Final[dict[str, Any]] = {
    **NETWORK,
    "batch_size": 20,
    "epochs": 25,
    "eval_steps": 250,
    "summary_steps": 50,
    "checkpoint_steps": 50,
}
PRETRAINED: Final = "PRETRAINED"  # stands for the run directory
SCRATCH: Final[dict[str, Any]] = {"learning_rate": 0.05}
FINE_TUNE: Final[dict[str, Any]] = {
    "init_from": PRETRAINED,
    "init_skip": "logits",
    "learning_rate": 0.005,
    "parameter_groups": {"logits": 10},
}
# The options of `cnnlab train`.
TRAINED: Final[dict[str, dict[str, Any]]] = {
    "from scratch": SCRATCH,
    "from scratch, augmented": {**SCRATCH, "augment": AUGMENT},
    "fine-tuning": FINE_TUNE,
    "fine-tuning, augmented": {**FINE_TUNE, "augment": AUGMENT},
}
# A head on the pretrained network's features: one dense layer of 1024, trained by `Train`, or
# scikit-learn's LinearSVC on standardized features.
HEADS: Final[dict[str, dict[str, Any]]] = {
    "bottleneck": {
        "batch_size": 32,
        "epochs": 50,
        "learning_rate": 0.001,
        "scaling": "unit",
        "eval_steps": 313,
        "summary_steps": 100,
        "max_to_keep": 1,
    },
    "SVM on the features": {"C": 0.01, "max_iter": 10_000},
}
METHODS: Final = (*tuple(TRAINED)[:2], *HEADS, *tuple(TRAINED)[2:])  # in the order of the table
OPTIONS: Final = {**TRAINED, **HEADS}


def main() -> None:
    """Make the runs that are missing, then write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="./data", help="folder of CIFAR-10's files")
    parser.add_argument("--work_dir", default="./save/transfer", help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="runs of each method (2 to 9)")
    parser.add_argument("--out", default=str(ROOT / "results"), help="folder of transfer.json")
    parser.add_argument("--methods", nargs="*", default=METHODS, help="make only these runs")
    args = parser.parse_args()
    work_dir = Path(args.work_dir)
    data = load_dataset("cifar10", args.data_dir)
    pretrained = work_dir / "pretrained"
    if any(OPTIONS[method].get("init_from") or method in HEADS for method in args.methods):
        pretrain(data, pretrained)
    for seed in range(1, args.seeds + 1):  # every method once before any method a second time
        pictures = work_dir / f"pictures-{seed}"
        write_pictures(data, seed, pictures)
        for method in args.methods:
            learn(method, seed, pictures, pretrained, run_folder(work_dir, method, seed))
    if set(args.methods) == set(METHODS):
        results = read_results(work_dir, args.seeds)
        text = json.dumps(results, indent=1) + "\n"
        write_atomically(Path(args.out) / "transfer.json", text)


def pretraining_data(data: Dataset) -> tuple[Any, Any, Any]:
    """Return the images of the other eight classes: training, validation and test pairs."""
    names = data.spec.class_names
    others = [number for number, name in enumerate(names) if name not in PAIR]
    number_of = {old: new for new, old in enumerate(others)}
    train, validation = split_validation(data.train, 0.1, 1, len(names))
    pairs = []
    for split in (train, validation, data.test):
        chosen = np.isin(split.labels, others)
        labels = np.array([number_of[old] for old in split.labels[chosen]])
        pairs.append((split.images[chosen], labels))
    return pairs[0], pairs[1], pairs[2]


def pretrain(data: Dataset, folder: Path) -> dict[str, Any]:
    """Train on the other eight classes, or go on where an earlier call stopped."""
    if (result := finished(folder)) is not None:
        return result
    with Train(data=pretraining_data(data), save_dir=str(folder), **PRETRAINING) as train:
        return train.train()


def write_pictures(data: Dataset, seed: int, folder: Path) -> None:
    """Write SHOWN training images and all test images of both classes as JPEG files.

    Args:
        data: CIFAR-10.
        seed: chooses the training images.
        folder: gets train/CLASS/*.jpg and test/CLASS/*.jpg; a file that is there stays.
    """
    for name in PAIR:
        number = data.spec.class_names.index(name)
        of_class = np.flatnonzero(data.train.labels == number)
        shown = np.random.default_rng([seed, number]).permutation(of_class)[:SHOWN]
        write_jpegs(data.train, np.sort(shown), folder / "train" / name)
        write_jpegs(data.test, np.flatnonzero(data.test.labels == number), folder / "test" / name)


def write_jpegs(split: Split, places: npt.NDArray[np.int64], folder: Path) -> None:
    """Write some images as FOLDER/PLACE.jpg."""
    folder.mkdir(parents=True, exist_ok=True)
    for place in places:
        path = folder / f"{place:05d}.jpg"
        if not path.exists():
            Image.fromarray(split.images[place]).save(path, quality=95, subsampling=0)


def run_folder(work_dir: Path, method: str, seed: int) -> Path:
    """Return the run directory of a method."""
    return work_dir / f"{method.replace(', ', '_').replace(' ', '_')}-{seed}"


def learn(method: str, seed: int, pictures: Path, pretrained: Path, folder: Path) -> None:
    """Learn the pair by one method, or go on where an earlier call stopped."""
    if finished(folder) is not None:
        return
    print(f"{folder.name} ...", file=sys.stderr, flush=True)
    options = OPTIONS[method]
    options = {k: str(pretrained) if v == PRETRAINED else v for k, v in options.items()}
    options |= {"dataset": f"folder:{pictures}", "seed": seed, "save_dir": str(folder)}
    if method in TRAINED:
        with Train(**{**OF_PAIR, **options}) as train:
            train.train()
    else:
        learn_head(method, seed, pictures, pretrained, folder)


def head(features: Any, num_classes: int, *, training: bool) -> Any:
    """Build the head: a dense layer of 1024 with relu, dropout of 0.3, and the logits."""
    x = layers.flatten(features) * 255  # which the scaling has divided by 255
    x = layers.dense(x, 1024, name="dense1")
    x = layers.activate(x, "relu", name="relu1")
    x = layers.dropout(x, 0.3, training=training, name="dropout1")
    return layers.dense(x, num_classes, name="logits")


def learn_head(method: str, seed: int, pictures: Path, pretrained: Path, folder: Path) -> None:
    """Train a head on the features of the pictures, which are computed once."""
    splits = features_of(pictures, pretrained)
    start = time.perf_counter()
    train, test = splits["train"], splits["test"]
    if method == "bottleneck":
        # Features as images of one row. The head undoes the scaling.
        as_images = [(s.images[:, None, :, None], s.labels) for s in (train, test)]
        data = dataset_from_arrays(as_images[0], as_images[1], PAIR, image_range=(0, 255))
        options = {**HEADS[method], "seed": seed, "save_dir": str(folder)}
        with Train(model=head, data=data, **options) as run:
            run.train()
        return
    mean, stddev = train.images.mean(axis=0), np.maximum(train.images.std(axis=0), 1e-7)
    from sklearn.svm import LinearSVC  # for this method only: pages.py needs the rest

    machine = LinearSVC(random_state=seed, **HEADS[method])
    machine.fit((train.images - mean) / stddev, train.labels)
    result = {
        "finished": True,
        "accuracy": float(machine.score((test.images - mean) / stddev, test.labels)),
        "n": len(test.labels),
        "seconds": round(time.perf_counter() - start, 3),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "result.json", json.dumps(result) + "\n")


def features_of(pictures: Path, pretrained: Path) -> dict[str, Split]:
    """Return the features of the training and test pictures, float32 [n, 64], and their labels.

    They are stored beside the pictures: each is what the pretrained network's last layer takes.
    """
    stored = pictures.with_name(f"{pictures.name}-features.npz")
    if not stored.exists():
        options = {"dataset": f"folder:{pictures}", "batch_size": 20}
        data = TrainingData(resolve(options), None)
        config = load_config(str(pretrained))
        arrays = {}
        with TrainedModel(pretrained, config, load_run_data(config).spec) as model:
            for name in ("train", "test"):
                split = data.split(name)
                parts = np.array_split(split.images, math.ceil(len(split.images) / 200))
                feeds = [{model.graph.images_ph: part} for part in parts]
                found = [model.session.run(model.graph.activations["mean"], feed) for feed in feeds]
                arrays |= {name: np.concatenate(found), f"{name}_labels": split.labels}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        write_atomically(stored, buffer.getvalue())
    with np.load(stored) as arrays:
        return {n: Split(arrays[n], arrays[f"{n}_labels"]) for n in ("train", "test")}


def finished(folder: Path) -> dict[str, Any] | None:
    """Return the content of result.json if the run is finished."""
    path = folder / "result.json"
    result = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return result if result.get("finished") else None


def read_results(work_dir: Path, seeds: int) -> dict[str, Any]:
    """Return the content of transfer.json; all runs must be finished."""
    methods = {}
    for method in METHODS:
        runs = [finished(run_folder(work_dir, method, seed)) for seed in range(1, seeds + 1)]
        found = [run for run in runs if run is not None]
        methods[method] = {
            "options": OPTIONS[method],
            "accuracies": [run["accuracy"] for run in found],
            "seconds": [run["seconds"] for run in found],
            "images": found[0]["n"],
        }
    source = finished(work_dir / "pretrained") or {}
    trained = sorted(path.parent for path in work_dir.glob(f"*/{CONFIG_FILE}"))
    return {
        "shown": SHOWN,
        "seeds": list(range(1, seeds + 1)),
        "pretraining": {
            "options": PRETRAINING,
            **{name: source[name] for name in ("step", "accuracy", "n", "seconds")},
        },
        "of_pair": OF_PAIR,
        "methods": methods,
        **joined_provenance([read_provenance(folder) for folder in trained]),
    }


if __name__ == "__main__":
    main()
