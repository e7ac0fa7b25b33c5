"""LeNet-5, in today's form and as published.

LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition",
Proceedings of the IEEE 86. Layers have the paper's names: C for convolution, S for subsampling, F
for fully connected.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab import layers
from cnnlab.base.tf1 import tf

INPUT_SIZE = 32

# Table I of the paper: the maps of S2 that each of the 16 maps of C3 is connected to.
C3_INPUTS = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)

# The digits as bitmaps of 12 rows and 7 columns, drawn after figure 3 of the paper. They are the
# centres of the output units. A row is a number of 7 bits; its highest bit is the leftmost pixel.
DIGITS = (
    (0x00, 0x1C, 0x22, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x22, 0x1C, 0x00),
    (0x00, 0x08, 0x18, 0x28, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x3E, 0x00),
    (0x00, 0x3E, 0x41, 0x01, 0x01, 0x02, 0x0C, 0x10, 0x20, 0x40, 0x7F, 0x00),
    (0x00, 0x7F, 0x02, 0x04, 0x08, 0x1C, 0x02, 0x01, 0x01, 0x41, 0x3E, 0x00),
    (0x00, 0x02, 0x06, 0x0A, 0x12, 0x22, 0x42, 0x7F, 0x02, 0x02, 0x02, 0x00),
    (0x00, 0x7F, 0x40, 0x40, 0x7C, 0x02, 0x01, 0x01, 0x01, 0x42, 0x3C, 0x00),
    (0x00, 0x1E, 0x20, 0x40, 0x40, 0x5C, 0x62, 0x41, 0x41, 0x22, 0x1C, 0x00),
    (0x00, 0x7F, 0x01, 0x02, 0x02, 0x04, 0x04, 0x08, 0x08, 0x10, 0x10, 0x00),
    (0x00, 0x1C, 0x22, 0x41, 0x22, 0x1C, 0x22, 0x41, 0x41, 0x22, 0x1C, 0x00),
    (0x00, 0x1C, 0x22, 0x41, 0x41, 0x23, 0x1D, 0x01, 0x01, 0x02, 0x3C, 0x00),
)
F6_UNITS = 7 * 12


def lenet5(images: Any, num_classes: int, *, training: bool, sigmoid: bool = False) -> Any:
    """Build LeNet-5 as it is usually built today.

    It differs from the published network in three places. Every map of C3 is connected to all maps
    of S2, subsampling is a mean without weights, and the outputs are logits for a softmax.

    The network has 61,706 parameters for 32x32x1 or 28x28x1 images and 10 classes:
        c1        5*5*1*6 + 6        =    156
        c3        5*5*6*16 + 16      =  2,416
        c5        5*5*16*120 + 120   = 48,120
        f6        120*84 + 84        = 10,164
        logits    84*10 + 10         =    850

    Args:
        images: float32 [batch, height, width, channels]. Images smaller than 32x32 are padded to
            32x32 by mirroring the pixels at their edges.
        num_classes: number of logits.
        training: unused.
        sigmoid: whether a sigmoid follows S2 and is the activation of F6, as in one of the texts.
            The other activations stay tanh.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    del training
    x = _padded(images)  # [b, 32, 32, 1]
    x = layers.conv2d(x, 6, 5, activation=tf.nn.tanh, name="c1")  # [b, 28, 28, 6]
    x = layers.average_pooling2d(x, 2, 2, name="s2")  # [b, 14, 14, 6]
    if sigmoid:
        x = layers.activate(x, "sigmoid", name="s2_sigmoid")
    x = layers.conv2d(x, 16, 5, activation=tf.nn.tanh, name="c3")  # [b, 10, 10, 16]
    x = layers.average_pooling2d(x, 2, 2, name="s4")  # [b, 5, 5, 16]
    x = layers.conv2d(x, 120, 5, activation=tf.nn.tanh, name="c5")  # [b, 1, 1, 120]
    x = layers.flatten(x, name="flatten")  # [b, 120]
    x = layers.dense(x, 84, activation=tf.nn.sigmoid if sigmoid else tf.nn.tanh, name="f6")
    return layers.dense(x, num_classes, name="logits")


def lenet5_1998(images: Any, num_classes: int, *, training: bool) -> Any:
    """Build LeNet-5 as published (section II.B).

    C3 has only some of the connections to S2, subsampling has trained weights, and the output units
    are radial basis functions.

    logit_c = -sum_i (f6_i - centre_ci)^2

    The logit of a class is minus the squared distance between F6 and the centre of the class.
    Softmax cross-entropy of these logits is the paper's equation 9 without its constant class. It
    decreases the distance to the correct class and increases the distances to the others.

    The network has 60,000 parameters for 32x32x1 or 28x28x1 images. The centres are fixed.
        c1    5*5*1*6 + 6                =    156
        s2    6*2                        =     12
        c3    60 connections*5*5 + 16    =  1,516
        s4    16*2                       =     32
        c5    5*5*16*120 + 120           = 48,120
        f6    120*84 + 84                = 10,164

    Args:
        images: float32 [batch, height, width, channels]. Images smaller than 32x32 are padded to
            32x32 by mirroring the pixels at their edges.
        num_classes: number of logits. With 10, the centres are the bitmaps of the digits. With any
            other number they are random codes, which the paper names as the alternative.
        training: unused.

    Returns:
        The logits, float32 [batch, num_classes], unscaled, <= 0.
    """
    del training
    x = _padded(images)  # [b, 32, 32, 1]
    channels = int(x.shape[-1])
    x = layers.conv2d(x, 6, 5, activation=_squash, name="c1", **_start(25 * channels))
    x = _subsample(x, "s2")  # [b, 14, 14, 6]
    x = _sparse_convolution(x, "c3")  # [b, 10, 10, 16]
    x = _subsample(x, "s4")  # [b, 5, 5, 16]
    x = layers.conv2d(x, 120, 5, activation=_squash, name="c5", **_start(25 * 16))
    x = layers.flatten(x, name="flatten")  # [b, 120]
    x = layers.dense(x, F6_UNITS, activation=_squash, name="f6", **_start(int(x.shape[-1])))
    distances = tf.math.squared_difference(x[:, None], tf.constant(centres(num_classes)))
    return -tf.reduce_sum(distances, axis=2)  # [b, classes]


def centres(num_classes: int) -> npt.NDArray[np.float32]:
    """Return the target of F6 for each class: float32 [num_classes, 84], each number -1 or 1."""
    if num_classes == len(DIGITS):
        bits = (np.array(DIGITS)[:, :, None] >> np.arange(6, -1, -1)) & 1  # [10, 12, 7]
        signs = 2 * bits.reshape(len(DIGITS), F6_UNITS) - 1
    else:
        signs = np.random.default_rng(1998).choice([-1, 1], (num_classes, F6_UNITS))
    return signs.astype(np.float32)


def _padded(images: Any) -> Any:
    """Pad images to at least 32x32 by mirroring the pixels at their edges.

    These pixels are the background of a digit, whatever the scaling of the images is.
    """
    missing = [max(INPUT_SIZE - length, 0) for length in images.shape[1:3].as_list()]
    sides = [[length // 2, length - length // 2] for length in missing]
    if not any(missing):
        return images
    return tf.pad(images, [[0, 0], *sides, [0, 0]], "SYMMETRIC")


def _squash(x: Any) -> Any:
    """Return 1.7159 tanh(2/3 x), which is 1 at 1 and -1 at -1 (appendix A of the paper)."""
    return 1.7159 * tf.tanh(x * (2 / 3))


def _start(fan_in: int) -> dict[str, Any]:
    """Return the kernel's initializer as an argument: uniform in +-2.4 / fan_in (appendix A)."""
    limit = 2.4 / fan_in
    return {"kernel_initializer": tf.random_uniform_initializer(-limit, limit)}


def _subsample(inputs: Any, name: str) -> Any:
    """Build squash(coefficient * the sum over each 2x2 window + bias).

    Every map has one coefficient and one bias. The coefficients start at 1/4, so at first the sum
    is the mean.
    """
    channels = int(inputs.shape[-1])
    sums = 4 * layers.average_pooling2d(inputs, 2, 2, name=f"{name}_pool")
    with tf.variable_scope(name, use_resource=True):
        coefficient = tf.get_variable(
            "coefficient", [channels], initializer=tf.constant_initializer(0.25)
        )
        bias = tf.get_variable("bias", [channels], initializer=tf.zeros_initializer())
    return layers.activate(sums * coefficient + bias, _squash, name=f"{name}_squash")


def _sparse_convolution(inputs: Any, name: str) -> Any:
    """Build an unpadded 5x5 convolution whose 16 maps have only the connections of C3_INPUTS."""
    pairs = [(source, target) for target, of in enumerate(C3_INPUTS) for source in of]
    places = np.zeros([len(pairs), 6, len(C3_INPUTS)], np.float32)
    for i, (source, target) in enumerate(pairs):
        places[i, source, target] = 1
    # All kernels start within the same limit, that of a map with the mean number of inputs.
    start = _start(25 * len(pairs) // len(C3_INPUTS))["kernel_initializer"]
    with tf.variable_scope(name, use_resource=True):
        windows = tf.get_variable("kernel", [5, 5, len(pairs)], initializer=start)
        bias = tf.get_variable("bias", [len(C3_INPUTS)], initializer=tf.zeros_initializer())
        kernel = tf.tensordot(windows, tf.constant(places), 1)  # [5, 5, 6, 16], zeros elsewhere
        outputs = tf.nn.conv2d(inputs, kernel, 1, "VALID") + bias
    return layers.activate(outputs, _squash, name=f"{name}_squash")
