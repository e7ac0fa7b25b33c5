"""`queues_old.py` for cnnlab: no files, queues or threads, and batches that can be repeated."""

import sys

from cnnlab import Train, layers, tf


def net(images, num_classes, *, training):
    h = layers.conv2d(images, 16, 5, padding="same", activation=tf.nn.relu, name="conv1")
    h = layers.max_pooling2d(h, 2, 2)
    h = layers.conv2d(h, 32, 5, padding="same", activation=tf.nn.relu, name="conv2")
    h = layers.max_pooling2d(h, 2, 2)
    h = layers.dense(layers.flatten(h), 128, activation=tf.nn.relu, name="dense1")
    return layers.dense(h, num_classes, name="logits")


with Train(
    dataset="mnist",
    model=net,
    optimizer="momentum",
    momentum=0.9,
    learning_rate=0.02,
    schedule="exponential",
    decay_steps=500,
    decay_rate=0.8,
    batch_size=100,
    steps=int(sys.argv[1]) if len(sys.argv) > 1 else 2000,
) as train:
    print(f"accuracy {train.train()['accuracy']:.4f}")
