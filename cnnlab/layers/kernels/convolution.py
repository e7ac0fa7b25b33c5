"""Convolutions in the way that was fastest in measurements: plainly, or with fewer multiplications.

Of few channels there is too little to multiply for each number that is moved. The transform in both
axes (`cnnlab.layers.kernels.fourier`) saves most, and moves most: for large images its matrices
are large,
and of small batches it costs the kernels as much as the images. Its gradients need little that is
new, so it gains more in training than in inference. Along the rows alone
(`cnnlab.layers.kernels.winograd`)
less is moved and less is saved. Where oneDNN has AVX-512, convolutions gain more from it than
products of matrices. The figures are in docs/performance.md.
"""

from __future__ import annotations

import functools
import platform
import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from cnnlab.base.tf1 import is_on_cpu, legacy_convolutional, onednn_is_on, onednn_uses_avx512, tf
from cnnlab.layers import tower as towers
from cnnlab.layers.kernels import fourier, winograd

Convolve = Callable[[Any, Any, str], Any]  # of images, a kernel and a padding


class Rule(NamedTuple):
    """Where a way to compute convolutions is faster than the rules after it.

    side: of the kernel, which is square.
    least_channels, most_channels: in and out.
    sizes: of the images, height and width.
    convolve: the way.
    least_batch: images. In inference, where their number is known only as it runs, fewer are
        convolved plainly; in training, as the rules after it say.
    inference: whether it is so, too, without gradients.
    avx512: whether it is so, too, where oneDNN has AVX-512.
    """

    side: int
    least_channels: int
    sizes: range
    convolve: Convolve
    least_batch: int = 1
    inference: bool = True
    avx512: bool = True
    most_channels: int = sys.maxsize


RULES: Final = (
    Rule(5, 32, range(8, 25), fourier.convolve, least_batch=16),
    Rule(5, 32, range(25, 33), fourier.convolve, least_batch=16, inference=False),
    # Of more, in all layers before the images come to them, the kernels would fill the memory.
    Rule(3, 256, range(7, 9), fourier.convolve, least_batch=64, most_channels=256),
    Rule(3, 128, range(7, 9), fourier.convolve, least_batch=64, most_channels=256, avx512=False),
    Rule(3, 128, range(7, 9), fourier.convolve, least_batch=64, inference=False),
    Rule(3, 64, range(7, 9), fourier.convolve, least_batch=64, inference=False, avx512=False),
    Rule(5, 32, range(8, 49), winograd.convolve),
    Rule(3, 256, range(7, 8), winograd.convolve),
    Rule(3, 128, range(8, 12), winograd.convolve),
    Rule(3, 64, range(7, 12), winograd.convolve, least_batch=64, inference=False),
    Rule(3, 64, range(12, 49), winograd.convolve),
)


def convolution_layer(**kwargs: Any) -> Any:
    """The legacy layer Conv2D, which takes the fastest way where the tower has leave to."""
    is_fast = towers.current().fast_kernels
    layer_class = _layer_class() if is_fast else legacy_convolutional.Conv2D
    return layer_class(**kwargs)


@functools.cache
def _layer_class() -> Any:
    class Conv2D(legacy_convolutional.Conv2D):
        def convolution_op(self, inputs: Any, kernel: Any) -> Any:
            rule = _rule_for(self, inputs)
            kernel = tf.convert_to_tensor(kernel)
            plainly = functools.partial(super().convolution_op, inputs, kernel)
            if rule is None:
                return plainly()
            by_rule = functools.partial(rule.convolve, inputs, kernel, self.padding)
            if rule.least_batch == 1 or towers.current().batch_size is not None:
                return by_rule()
            return tf.cond(tf.shape(inputs)[0] < rule.least_batch, plainly, by_rule)

    return Conv2D


def _rule_for(layer: Any, inputs: Any) -> Rule | None:
    """How a Conv2D of these images is computed fastest; None: plainly."""
    if not (
        layer.strides == layer.dilation_rate == (1, 1)
        and layer.groups == 1
        and layer.data_format == "channels_last"
        and inputs.dtype == tf.float32
        and inputs.shape[1:].is_fully_defined()
        and is_on_cpu(inputs)
        and onednn_is_on()  # TensorFlow's own kernels know no gradients of groups
        and platform.machine() in ("x86_64", "AMD64")  # it was measured nowhere else
    ):
        return None
    height, width, channels = inputs.shape[1:].as_list()
    batch_size = towers.current().batch_size
    for rule in RULES:
        if (
            layer.kernel_size == (rule.side, rule.side)
            and min(channels, layer.filters) >= rule.least_channels
            and max(channels, layer.filters) <= rule.most_channels
            and height in rule.sizes
            and width in rule.sizes
            and (rule.inference if batch_size is None else batch_size >= rule.least_batch)
            and (rule.avx512 or not onednn_uses_avx512())
        ):
            return rule
    return None
