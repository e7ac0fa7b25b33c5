"""The workloads: data set, network, optimizer and batch size, the same for every contestant."""

from typing import Any, Final, NamedTuple

from scripts.bench.networks import NETWORKS, Layer

EVALUATION_BATCH_SIZES: Final = (500, 2500)  # an expert uses the faster one, the others the first
DECAY_STEPS: Final = 1000
COMPARED_BATCH_SIZE: Final = 100
COMPARED_ADAM_RATE: Final = 1e-4
NUM_CLASSES: Final = 10  # of all the data sets

# Statistics of CIFAR-10's training images / 255, by channel.
CIFAR10_MEAN: Final = (0.49139968, 0.48215841, 0.44653091)
CIFAR10_STDDEV: Final = (0.24703223, 0.24348513, 0.26158784)


class Workload(NamedTuple):
    """One training job.

    Attributes:
        dataset: name of the data set.
        model: name of the network, in cnnlab and in `scripts.bench.networks`.
        batch_size: images a step.
        optimizer: "adam" (betas 0.9 and 0.999, epsilon 1e-8), "sgd" or "nesterov".
        learning_rate: rate at step 0.
        first_layer_macs: multiply-adds of the first layer for one image, forward.
        other_macs: multiply-adds of all other layers for one image, forward.
        first_layer_passes: 2: forward pass and gradient of the weights; 1 if they are frozen.
        momentum: momentum of nesterov.
        decay_rate: factor on the rate after each 1,000 steps; 1: the rate is constant.
        dropout: the fraction of elements to drop; None: the network has no dropout.
        label_smoothing: cnnlab's option of this name.
        normalizes: whether each channel is normalized to mean 0 and standard deviation 1.
    """

    dataset: str
    model: str
    batch_size: int
    optimizer: str
    learning_rate: float
    first_layer_macs: int
    other_macs: int
    first_layer_passes: int = 2
    momentum: float = 0.0
    decay_rate: float = 1.0
    dropout: float | None = None
    label_smoothing: float = 0.0
    normalizes: bool = False

    @property
    def flops_per_image(self) -> int:
        """Floating-point operations of a training step for one image.

        A multiply-add counts as 2. Each layer computes its output, the gradient of its weights and
        the gradient of its input, which cost the same. The first layer computes no gradient of its
        input.
        """
        return 2 * (self.first_layer_passes * self.first_layer_macs + 3 * self.other_macs)

    @property
    def layers(self) -> list[Layer]:
        """The layers of the network."""
        return NETWORKS[self.model](self.dropout or 0.0)

    @property
    def pixel_scale(self) -> tuple[list[float], list[float]]:
        """Factors and summands that scale pixels: one for each channel or one for all."""
        if not self.normalizes:
            return [1 / 255], [0.0]
        means_and_stddevs = list(zip(CIFAR10_MEAN, CIFAR10_STDDEV, strict=True))
        return [1 / 255 / s for _, s in means_and_stddevs], [-m / s for m, s in means_and_stddevs]

    def for_comparison(self) -> "Workload":
        """Return the workload with settings that make losses comparable.

        There is no dropout, because its random numbers differ between frameworks, and the batch is
        small. Adam gets a low rate: its first steps follow only the signs of the gradients, so that
        a high rate would amplify differences of rounding.
        """
        return self._replace(
            dropout=None if self.dropout is None else 0.0,
            batch_size=min(self.batch_size, COMPARED_BATCH_SIZE),
            learning_rate=min(self.learning_rate, COMPARED_ADAM_RATE)
            if self.optimizer == "adam"
            else self.learning_rate,
        )

    def cnnlab_options(self) -> dict[str, Any]:
        """Return the options of cnnlab.Train for this workload."""
        return {
            "dataset": self.dataset,
            "model": self.model,
            "model_options": {} if self.dropout is None else {"dropout": self.dropout},
            "scaling": "normalize" if self.normalizes else "unit",
            "label_smoothing": self.label_smoothing,
            "batch_size": self.batch_size,
            "optimizer": self.optimizer,
            "learning_rate": self.learning_rate,
            "momentum": self.momentum if self.optimizer == "nesterov" else None,
            "schedule": "constant" if self.decay_rate == 1 else "exponential",
            "decay_steps": DECAY_STEPS,
            "decay_rate": self.decay_rate,
        }


# The workloads airbench94, cifar_vgg2 and resnet20 leave out the schedules, penalties and
# augmentation of the recipes, for all contestants.
WORKLOADS: Final[dict[str, Workload]] = {
    "mnist_perceptron": Workload(
        dataset="mnist",
        model="mnist_perceptron",
        batch_size=100,
        optimizer="sgd",
        learning_rate=0.5,
        first_layer_macs=784 * 10,
        other_macs=0,
    ),
    "mnist_cnn": Workload(
        dataset="mnist",
        model="mnist_cnn",
        batch_size=50,
        optimizer="adam",
        learning_rate=1e-4,
        dropout=0.5,
        first_layer_macs=28 * 28 * 5 * 5 * 1 * 32,
        other_macs=14 * 14 * 5 * 5 * 32 * 64 + 3136 * 1024 + 1024 * 10,
    ),
    "cifar_cnn": Workload(
        dataset="cifar10",
        model="cifar_cnn",
        batch_size=500,
        optimizer="adam",
        learning_rate=1e-3,
        decay_rate=0.9,
        first_layer_macs=32 * 32 * 5 * 5 * 3 * 64,
        other_macs=16 * 16 * 5 * 5 * 64 * 64
        + 8 * 8 * 5 * 5 * 64 * 32
        + 512 * 128
        + 128 * 64
        + 64 * 10,
    ),
    "cifar_vgg2": Workload(
        dataset="cifar10",
        model="cifar_vgg2",
        batch_size=64,
        optimizer="nesterov",
        learning_rate=0.01,
        momentum=0.9,
        normalizes=True,
        first_layer_macs=32 * 32 * 3 * 3 * 3 * 64,
        other_macs=32 * 32 * 3 * 3 * 64 * 64
        + 16 * 16 * 3 * 3 * (64 * 128 + 128 * 128)
        + 8192 * 4096
        + 4096 * 4096
        + 4096 * 10,
    ),
    "resnet20": Workload(
        dataset="cifar10",
        model="resnet20",
        batch_size=128,
        optimizer="nesterov",
        # Low, because at the recipe's rate differences of rounding grow tenfold in each step.
        learning_rate=0.001,
        momentum=0.9,
        normalizes=True,
        first_layer_macs=32 * 32 * 3 * 3 * 3 * 16,
        other_macs=3
        * 3
        * (
            32 * 32 * 6 * 16 * 16
            + 16 * 16 * (16 * 32 + 5 * 32 * 32)
            + 8 * 8 * (32 * 64 + 5 * 64 * 64)
        )
        + 64 * 10,
    ),
    "airbench94": Workload(
        dataset="cifar10",
        model="airbench94",
        batch_size=1024,
        optimizer="nesterov",
        learning_rate=0.1,
        momentum=0.85,
        label_smoothing=0.2,
        normalizes=True,
        first_layer_passes=1,
        first_layer_macs=31 * 31 * 2 * 2 * 3 * 24,
        # The first convolution of a group comes before its pooling.
        other_macs=3
        * 3
        * (
            31 * 31 * 24 * 64
            + 15 * 15 * (64 * 64 + 64 * 256)
            + 7 * 7 * (256 * 256 + 256 * 256)
            + 3 * 3 * 256 * 256
        )
        + 256 * 10,
    ),
    # Needs no data files. It only shows that the benchmark runs.
    "shapes": Workload(
        dataset="shapes",
        model="mnist_perceptron",
        batch_size=100,
        optimizer="sgd",
        learning_rate=1e-3,
        first_layer_macs=32 * 32 * 3 * 10,
        other_macs=0,
    ),
}
