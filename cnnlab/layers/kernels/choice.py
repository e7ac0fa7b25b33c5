"""The choice of kernels: how each layer is computed on each machine.

TensorFlow computes every layer with oneDNN's kernel or its own. For some shapes another kernel is
faster. The rules in this file say where; the kernels themselves decide nothing. The thresholds were
measured, see docs/performance/README.md. A reader who does not care about speed never needs this
folder.
"""

from __future__ import annotations

import functools
import platform
import sys
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from cnnlab.base.tf1 import is_on_cpu, onednn_is_on, onednn_uses_avx512, tf


class Machine(NamedTuple):
    """The facts about the machine that a choice depends on.

    is_cpu: whether the tensor is computed on the CPU.
    has_onednn: whether TensorFlow computes with oneDNN.
    has_avx512: whether oneDNN computes with vectors of 512 bits.
    is_x86: whether the processor is an x86-64. Some choices were measured nowhere else.
    """

    is_cpu: bool
    has_onednn: bool
    has_avx512: bool
    is_x86: bool


def machine_of(tensor: Any) -> Machine:
    """Return the facts about the machine that will compute a tensor of the graph."""
    return Machine(is_on_cpu(tensor), *_cpu_facts())


@functools.cache
def _cpu_facts() -> tuple[bool, bool, bool]:
    is_x86 = platform.machine() in ("x86_64", "AMD64")
    return onednn_is_on(), onednn_uses_avx512(), is_x86


class ConvolutionRule(NamedTuple):
    """Where a kernel for convolutions is faster than those of the later rules.

    side: height and width of the convolution's kernel.
    least_channels, most_channels: bounds on the channels, in and out.
    sizes: heights and widths of the images.
    kernel: the kernel's name.
    least_batch: the smallest batch, in images. For smaller batches, training uses a later rule. In
        inference the batch size is known only at run time, so TensorFlow's own kernel is used.
    inference: whether the rule holds in inference too, where there are no gradients.
    avx512: whether it holds where oneDNN has AVX-512 too.
    """

    side: int
    least_channels: int
    sizes: range
    kernel: Literal["fourier", "winograd"]
    least_batch: int = 1
    inference: bool = True
    avx512: bool = True
    most_channels: int = sys.maxsize


CONVOLUTIONS: Final = (
    ConvolutionRule(5, 32, range(8, 25), "fourier", least_batch=16),
    ConvolutionRule(5, 32, range(25, 33), "fourier", least_batch=16, inference=False),
    # With more channels, the transformed kernels of all layers would fill the memory before the
    # images reach them.
    ConvolutionRule(3, 256, range(7, 9), "fourier", least_batch=64, most_channels=256),
    ConvolutionRule(
        3, 128, range(7, 9), "fourier", least_batch=64, most_channels=256, avx512=False
    ),
    ConvolutionRule(3, 128, range(7, 9), "fourier", least_batch=64, inference=False),
    ConvolutionRule(3, 64, range(7, 9), "fourier", least_batch=64, inference=False, avx512=False),
    ConvolutionRule(5, 32, range(8, 49), "winograd"),
    ConvolutionRule(3, 256, range(7, 8), "winograd"),
    ConvolutionRule(3, 128, range(8, 12), "winograd"),
    ConvolutionRule(3, 64, range(7, 12), "winograd", least_batch=64, inference=False),
    ConvolutionRule(3, 64, range(12, 49), "winograd"),
)

# Batch norm: height x width of an image. For smaller images there is too little to gain.
LEAST_PLACES: Final = 36

# Dense layers from padded weights, without AVX-512.
PADDED_COLUMNS: Final = 512  # multiples of it fall on the same few places of the cache
LEAST_ROWS: Final = 32  # for fewer rows, padding takes longer than it saves
LEAST_WEIGHTS: Final = 2**20  # for fewer weights, starting the operations takes longer
# oneDNN's own bound: from this 1/rows + 1/columns on, it multiplies without copying its matrices.
UNCOPIED_FROM: Final = 0.0038

# The gradients of a dense product x w.
WIDE_WEIGHTS: Final = 2**18  # from this size on, oneDNN should not reorder w
NARROW_ROWS: Final = 512  # of a w with few columns
NARROW_COLUMNS: Final = 10  # with 16 and more, nothing is gained


class ProductGradient(NamedTuple):
    """How the gradients of a product x w are computed.

    einsum: whether the gradient of x is computed by Einsum, which does not reorder w.
    transposed: whether the gradient of w is computed transposed, and transposed back.
    """

    einsum: bool
    transposed: bool


@dataclass(frozen=True)
class Kernels:
    """The choice of kernels for one copy of the network.

    is_fast: whether another kernel than TensorFlow's own may be chosen.
    batch_size: images of a training batch; None in inference, where it may be any number.
    compiler: what XLA compiles: a step, a loop over steps, or nothing (None).
    isolates_step: whether a training step is the call of a function; see `isolates_pools`.
    """

    is_fast: bool = True
    batch_size: int | None = None
    compiler: Literal["step", "loop"] | None = None
    isolates_step: bool = False

    @property
    def pools_first(self) -> bool:
        """Whether a max pool is computed before a bias and a relu that it commutes with."""
        return self.is_fast

    @property
    def replaces_gradients(self) -> bool:
        """Whether products have the gradients of `product_gradient`."""
        return self.is_fast

    def convolution(self, layer: Any, images: Any) -> ConvolutionRule | None:
        """Return the rule for a Conv2D layer of these images; None: TensorFlow's own kernel."""
        machine = machine_of(images)
        if not (
            self.is_fast
            and self.compiler is None  # XLA has no groups
            and layer.strides == layer.dilation_rate == (1, 1)
            and layer.groups == 1
            and layer.data_format == "channels_last"
            and images.dtype == tf.float32
            and images.shape[1:].is_fully_defined()
            and machine.is_cpu
            and machine.has_onednn  # TensorFlow's own kernels have no gradients of groups
            and machine.is_x86
        ):
            return None
        height, width, channels = images.shape[1:].as_list()
        for rule in CONVOLUTIONS:
            if (
                layer.kernel_size == (rule.side, rule.side)
                and min(channels, layer.filters) >= rule.least_channels
                and max(channels, layer.filters) <= rule.most_channels
                and height in rule.sizes
                and width in rule.sizes
                and (
                    rule.inference
                    if self.batch_size is None
                    else self.batch_size >= rule.least_batch
                )
                and (rule.avx512 or not machine.has_avx512)
            ):
                return rule
        return None

    def normalizes_by_convolutions(self, layer: Any, images: Any) -> bool:
        """Return whether a BatchNormalization layer in training computes by convolutions."""
        machine = machine_of(images)
        return (
            self.is_fast
            and self.compiler is None
            and bool(layer.fused)  # four axes, and none of the layer's rarer options
            and layer.trainable
            and list(layer.axis) == [3]
            and images.dtype == tf.float32
            and images.shape[1:].is_fully_defined()
            and images.shape[1] * images.shape[2] >= LEAST_PLACES
            and machine.is_cpu
            and machine.has_onednn
            and images.shape[3] != 8
            and (images.shape[3] % 16 != 0 or not machine.has_avx512)
        )

    def normalizes_within_convolution(self, layer: Any, images: Any) -> bool:
        """Return whether a BatchNormalization layer in inference is merged into a convolution.

        It is the convolution that made these images.
        """
        before = images.op.inputs[0].op if images.op.type == "BiasAdd" else images.op
        return (
            self.is_fast
            and self.batch_size is None
            and bool(layer.fused)
            and list(layer.axis) == [3]
            and images.dtype == tf.float32
            and before.type == "Conv2D"
            and before.get_attr("data_format") == b"NHWC"
            and machine_of(images).is_cpu
        )

    def dense(self, inputs: Any, weights: Any) -> Literal["transposed", "padded"] | None:
        """Return how a dense layer multiplies; None: by TensorFlow's own kernel.

        Args:
            inputs: [batch, features].
            weights: [features, columns].
        """
        if self.compiler == "loop":
            return "transposed"
        machine = machine_of(inputs)
        is_padded = (
            self.is_fast
            and self.compiler is None
            and self.batch_size is not None
            and inputs.shape.rank == 2
            and inputs.dtype == tf.float32
            and weights.shape.num_elements() >= LEAST_WEIGHTS
            and weights.shape[1] % PADDED_COLUMNS == 0
            and self.batch_size >= LEAST_ROWS
            and 1 / self.batch_size + 1 / weights.shape[1] >= UNCOPIED_FROM
            and machine.is_cpu
            and machine.has_onednn
            and not machine.has_avx512
            and machine.is_x86
        )
        return "padded" if is_padded else None


# TensorFlow's own kernel for every layer.
PLAIN: Final = Kernels(is_fast=False)


def product_gradient(inputs: Any, weights: Any) -> ProductGradient:
    """Return how the gradients of the product of inputs [batch, rows] and weights are computed.

    Args:
        inputs: x, [batch, rows].
        weights: w, [rows, columns], of known shape.
    """
    rows, columns = weights.shape.as_list()
    return ProductGradient(
        einsum=weights.shape.num_elements() >= WIDE_WEIGHTS,
        transposed=rows >= NARROW_ROWS and columns <= NARROW_COLUMNS and machine_of(inputs).is_cpu,
    )


def compiles_product(shape: list[int], tensor: Any) -> bool:
    """Return whether XLA makes steps faster if the network is one product with these weights.

    Args:
        shape: of the weights, [rows, columns].
        tensor: any tensor on the device that computes.
    """
    machine = machine_of(tensor)
    is_narrow = shape[0] >= NARROW_ROWS and shape[1] <= NARROW_COLUMNS
    return is_narrow and machine.is_cpu and machine.is_x86


def isolates_pools(logits: Any, *, compiles_step: bool) -> bool:
    """Return whether a step has to be the call of a function, because the network has max pools.

    TensorFlow gives the gradient of a pool to oneDNN only if it visits the pool first. In the body
    of a loop the order of the two is chance, and without oneDNN the gradient is slow. The graph of
    a function has no loop.

    Args:
        logits: of the inference graph, which has the same pools.
        compiles_step: whether XLA compiles the step, with its own kernels.
    """
    machine = machine_of(logits)
    has_pools = any(op.type == "MaxPool" for op in logits.graph.get_operations())
    return has_pools and machine.is_cpu and machine.has_onednn and not compiles_step
