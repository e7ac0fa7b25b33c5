"""`keras_old.py` for cnnlab: a function instead of a list of layers, the softmax in the loss."""

import sys

from cnnlab import Train, layers, tf


def net(images, num_classes, *, training):
    h = layers.conv2d(images, 16, 3, activation=tf.nn.relu)
    h = layers.max_pooling2d(h, 2, 2)
    h = layers.conv2d(h, 32, 3, activation=tf.nn.relu)
    h = layers.max_pooling2d(h, 2, 2)
    h = layers.flatten(h)
    h = layers.dropout(h, 0.25, training=training)
    h = layers.dense(h, 128, activation=tf.nn.relu)
    h = layers.dropout(h, 0.5, training=training)
    return layers.dense(h, num_classes)


with Train(
    dataset="mnist",
    model=net,
    learning_rate=0.001,
    schedule="constant",
    batch_size=100,
    steps=int(sys.argv[1]) if len(sys.argv) > 1 else 1200,
) as train:
    print(f"accuracy {train.train()['accuracy']:.4f}")
