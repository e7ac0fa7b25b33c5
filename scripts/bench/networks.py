"""The workloads' networks as lists of layers, from which each framework builds its network.

cnnlab trains its own networks of the same names. The comparison of losses shows that they agree.
Weights are named `layer/kernel`, `layer/bias`, `layer/beta`, as in cnnlab.
"""

from collections.abc import Callable
from typing import Final, NamedTuple


class Conv(NamedTuple):
    """Convolution, padded by `side // 2` on all sides or not at all.

    A frozen kernel is not trained.
    """

    name: str
    filters: int
    side: int
    is_padded: bool = True
    use_bias: bool = True
    is_frozen: bool = False
    stride: int = 1


class Dense(NamedTuple):
    """Dense layer."""

    name: str
    units: int
    use_bias: bool = True


class BatchNorm(NamedTuple):
    """Batch normalization with a shift; momentum is the weight of the old moving average."""

    name: str
    momentum: float
    epsilon: float
    has_scale: bool


class Activation(NamedTuple):
    """ "relu" or "gelu" (the exact form)."""

    function: str


class MaxPool(NamedTuple):
    """Max pooling with 2x2 windows and stride 2."""


class GlobalMax(NamedTuple):
    """Maximum over height and width."""


class GlobalMean(NamedTuple):
    """Mean over height and width."""


class Flatten(NamedTuple):
    """Flatten each image into a row."""


class Dropout(NamedTuple):
    """Dropout; rate: the fraction of elements to drop in training."""

    rate: float


class Scale(NamedTuple):
    """Multiplication by a constant."""

    factor: float


class Residual(NamedTuple):
    """relu(layers(x) + shortcut): x subsampled by `stride`, zero-padded to `filters` channels."""

    layers: tuple["Layer", ...]
    filters: int
    stride: int


Layer = (
    Conv
    | Dense
    | BatchNorm
    | Activation
    | MaxPool
    | GlobalMax
    | GlobalMean
    | Flatten
    | Dropout
    | Scale
    | Residual
)
EPSILON: Final = 1.001e-5  # of batch normalization
RELU: Final = Activation("relu")


def _mnist_perceptron(_dropout: float) -> list[Layer]:
    return [Flatten(), Dense("logits", 10)]


def _mnist_cnn(dropout: float) -> list[Layer]:
    return [
        *(Conv("conv1", 32, 5), RELU, MaxPool()),
        *(Conv("conv2", 64, 5), RELU, MaxPool()),
        *(Flatten(), Dense("dense1", 1024), RELU, Dropout(dropout)),
        Dense("logits", 10),
    ]


def _cifar_cnn(_dropout: float) -> list[Layer]:
    return [
        *(Conv("conv1", 64, 5), RELU, MaxPool()),
        *(Conv("conv2", 64, 5), RELU, MaxPool()),
        *(Conv("conv3", 32, 5), RELU, MaxPool()),
        *(Flatten(), Dense("dense1", 128), RELU, Dense("dense2", 64), RELU),
        Dense("logits", 10),
    ]


def _cifar_vgg2(_dropout: float) -> list[Layer]:
    return [
        *(Conv("conv1_1", 64, 3), RELU, Conv("conv1_2", 64, 3), RELU, MaxPool()),
        *(Conv("conv2_1", 128, 3), RELU, Conv("conv2_2", 128, 3), RELU, MaxPool()),
        *(Flatten(), Dense("dense1", 4096), RELU, Dense("dense2", 4096), RELU),
        Dense("logits", 10),
    ]


def _airbench94(_dropout: float) -> list[Layer]:
    gelu = Activation("gelu")
    layers: list[Layer] = [
        Conv("whitening", 24, 2, is_padded=False, is_frozen=True),
        gelu,
    ]
    for group, width in enumerate((64, 256, 256), start=1):
        for number in (1, 2):
            name = f"conv{group}_{number}"
            layers.append(Conv(name, width, 3, use_bias=False))
            layers += [MaxPool()] if number == 1 else []
            layers += [BatchNorm(f"{name}_norm", 0.6, EPSILON, has_scale=False), gelu]
    return [*layers, GlobalMax(), Dense("logits", 10, use_bias=False), Scale(1 / 9)]


def _resnet20(_dropout: float) -> list[Layer]:
    def conv(name: str, filters: int, stride: int = 1) -> tuple[Layer, ...]:
        norm = BatchNorm(f"{name}_norm", 0.9, EPSILON, has_scale=True)
        return Conv(name, filters, 3, use_bias=False, stride=stride), norm

    layers: list[Layer] = [*conv("conv1", 16), RELU]
    for stage, filters in enumerate((16, 32, 64), start=1):
        for block in (1, 2, 3):
            name = f"stage{stage}/block{block}"
            stride = 2 if stage > 1 and block == 1 else 1
            inner = (*conv(f"{name}/conv1", filters, stride), RELU, *conv(f"{name}/conv2", filters))
            layers.append(Residual(inner, filters, stride))
    return [*layers, GlobalMean(), Dense("logits", 10)]


# Each is a function of the dropout rate, which networks without dropout ignore.
NETWORKS: Final[dict[str, Callable[[float], list[Layer]]]] = {
    "mnist_perceptron": _mnist_perceptron,
    "mnist_cnn": _mnist_cnn,
    "cifar_cnn": _cifar_cnn,
    "cifar_vgg2": _cifar_vgg2,
    "airbench94": _airbench94,
    "resnet20": _resnet20,
}
