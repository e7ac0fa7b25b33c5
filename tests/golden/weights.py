"""Print the digest of all weights after 20 steps of recipes.

    python -m tests.golden.weights [--isa=avx512_rules] RECIPE ...

The images are random, so the bits need no download. The batch size is the recipe's own, because the
choice of kernels depends on it.
"""

import hashlib
import json
import sys
import tempfile
from typing import Any

import numpy as np

from cnnlab import Train
from cnnlab.base import machine

STEPS = 20
RECIPES = {  # name to the shape of its images
    "mnist_perceptron": (28, 28, 1),
    "mnist_cnn": (28, 28, 1),
    "mnist_convnet": (28, 28, 1),
    "cifar_cnn": (32, 32, 3),
    "cifar_lrn": (32, 32, 3),
    "cifar_vgg2": (32, 32, 3),
    "resnet20": (32, 32, 3),
    "airbench94": (32, 32, 3),
}


def random_data(shape: tuple[int, int, int], num_train: int = 2100, num_test: int = 50) -> Any:
    """Images uint8 and labels of ten classes, the same each time."""
    rng = np.random.default_rng(11)
    pairs = []
    for count in (num_train, num_test):
        images = rng.integers(0, 256, (count, *shape), np.uint8)
        pairs.append((images, rng.integers(0, 10, count)))
    return tuple(pairs)


def digest_of(recipe: str, folder: str) -> str:
    """Train 20 steps; return the BLAKE2 digest of every variable's name and bytes, in hex."""
    options = {"config": recipe, "steps": STEPS, "device": "cpu", "layer_summaries": False}
    options["save_dir"] = f"{folder}/{recipe}"
    with Train(data=random_data(RECIPES[recipe]), **options) as train:
        train.train()
        found = train.session.run({v.op.name: v for v in train.saver._var_list})
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(found):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(found[name]).tobytes())
    return digest.hexdigest()


def pretend_avx512() -> None:
    """Let the choice of kernels find AVX-512 on this CPU; oneDNN still computes with AVX2."""
    cpu = machine._cpu()
    machine._cpu = lambda: {**cpu, "flags": f"{cpu['flags']} avx512f"}


def main(words: list[str]) -> None:
    if words[:1] == ["--isa=avx512_rules"]:
        pretend_avx512()
    recipes = [word for word in words if not word.startswith("--")]
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps({name: digest_of(name, scratch) for name in recipes}))


if __name__ == "__main__":
    main(sys.argv[1:])
