"""The convolution layer, computed by the kernel that `choice` names.

With few channels there is too little to multiply for each number that is moved, so TensorFlow's own
kernel is used. The Fourier
transform in both axes (`fourier`) saves the most multiplications and moves the most data. So its
matrices are too large for large images, and for small batches transforming the kernel costs as
much as transforming the images. Its gradients reuse what the forward pass computed, so training
gains more than inference. Winograd's algorithm along the rows (`winograd`) moves less and saves
less. With AVX-512, oneDNN's convolutions gain more than its matrix products, so fewer shapes are
worth it. See docs/performance/convolutions.md.
"""

from __future__ import annotations

import functools
from typing import Any

from cnnlab.base.tf1 import legacy_convolutional, tf
from cnnlab.layers.kernels import fourier, winograd
from cnnlab.layers.kernels.choice import ConvolutionRule, Kernels, machine_of


def convolution_layer(kernels: Kernels, **kwargs: Any) -> Any:
    """Return the legacy layer Conv2D, which computes with the chosen kernel."""
    return _layer_class(kernels)(**kwargs)


@functools.cache
def _layer_class(kernels: Kernels) -> Any:
    class Conv2D(legacy_convolutional.Conv2D):
        def convolution_op(self, inputs: Any, kernel: Any) -> Any:
            rule = kernels.convolution(self, inputs)
            kernel = tf.convert_to_tensor(kernel)
            by_tensorflow = functools.partial(super().convolution_op, inputs, kernel)
            if rule is None:
                return by_tensorflow()
            by_rule = functools.partial(convolve, rule, inputs, kernel, self.padding)
            if rule.least_batch == 1 or kernels.batch_size is not None:
                return by_rule()
            return tf.cond(tf.shape(inputs)[0] < rule.least_batch, by_tensorflow, by_rule)

    return Conv2D


def convolve(rule: ConvolutionRule, inputs: Any, kernel: Any, padding: str) -> Any:
    """Return the convolution with stride 1, computed as the rule says.

    Args:
        rule: names the kernel.
        inputs: float32 [batch, height, width, in], all but the batch known.
        kernel: float32 [side, side, in, out].
        padding: "valid" or "same".

    Returns:
        float32 [batch, new_height, new_width, out].
    """
    if rule.kernel == "fourier":
        return fourier.convolve(inputs, kernel, padding)
    # Without AVX-512, oneDNN computes the gradient of a 5x5 kernel faster from short rows.
    has_long_rows = rule.side == 3 or machine_of(inputs).has_avx512
    return winograd.convolve(inputs, kernel, padding, has_long_rows=has_long_rows)
