"""What is trained: data set, network, optimizer and batch size, the same for every contestant."""

from typing import Any, Final, NamedTuple


class Workload(NamedTuple):
    """One training job.

    Attributes:
        dataset: name of the data set.
        model: name of the network, in cnnlab and in each other contestant's own table.
        batch_size: images a step.
        optimizer: "adam" or "sgd".
        learning_rate: rate at step 0.
        decay_rate: factor on the rate each 1,000 steps, staircase; 1 keeps it.
        first_layer_macs: multiply-adds of the first layer for one image, forward.
        other_macs: multiply-adds of all other layers for one image, forward.
    """

    dataset: str
    model: str
    batch_size: int
    optimizer: str
    learning_rate: float
    decay_rate: float
    first_layer_macs: int
    other_macs: int

    @property
    def flops_per_image(self) -> int:
        """Floating-point operations of a training step for one image.

        A multiply-add is 2. Each layer computes its output, the gradient of its weights and the
        gradient of its input, which cost the same; the first layer needs no gradient of its input.
        """
        return 2 * (2 * self.first_layer_macs + 3 * self.other_macs)

    def cnnlab_options(self) -> dict[str, Any]:
        """The options of cnnlab.Train for this workload."""
        return {
            "dataset": self.dataset,
            "model": self.model,
            "batch_size": self.batch_size,
            "optimizer": self.optimizer,
            "learning_rate": self.learning_rate,
            "schedule": "constant" if self.decay_rate == 1 else "exponential",
            "decay_steps": 1000,
            "decay_rate": self.decay_rate,
        }


WORKLOADS: Final[dict[str, Workload]] = {
    "mnist_perceptron": Workload(
        dataset="mnist",
        model="mnist_perceptron",
        batch_size=100,
        optimizer="sgd",
        learning_rate=0.5,
        decay_rate=1.0,
        first_layer_macs=784 * 10,
        other_macs=0,
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
}
