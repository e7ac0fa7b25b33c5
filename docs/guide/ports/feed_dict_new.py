"""`feed_dict_old.py` for cnnlab: its layers are unchanged, and its loop is gone."""

import sys

from cnnlab import Train, layers, tf


def weight(shape):
    return tf.get_variable("w", shape, initializer=tf.truncated_normal_initializer(stddev=0.1))


def bias(size):
    return tf.get_variable("b", [size], initializer=tf.constant_initializer(0.1))


def conv(x, filters, scope):
    with tf.variable_scope(scope):
        channels = int(x.get_shape()[3])
        x = tf.nn.conv2d(x, weight([5, 5, channels, filters]), [1, 1, 1, 1], "SAME")
        x = tf.nn.relu(x + bias(filters))
        return tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")


def dense(x, units, scope):
    with tf.variable_scope(scope):
        return tf.matmul(x, weight([int(x.get_shape()[1]), units])) + bias(units)


def net(images, num_classes, *, training):
    h = conv(images, 16, "conv1")
    h = conv(h, 32, "conv2")
    h = tf.nn.relu(dense(tf.reshape(h, [-1, 7 * 7 * 32]), 256, "dense1"))
    h = layers.dropout(h, 0.5, training=training)
    return dense(h, num_classes, "logits")


with Train(
    dataset="mnist",
    validation_split=5000 / 60000,
    model=net,
    learning_rate=1e-3,
    schedule="constant",
    batch_size=100,
    steps=int(sys.argv[1]) if len(sys.argv) > 1 else 2000,
) as train:
    print(f"accuracy {train.train()['accuracy']:.4f}")
