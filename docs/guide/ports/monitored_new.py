"""`monitored_old.py` for cnnlab: one description of the graph, an augmentation that resumes."""

import sys

from cnnlab import Train, layers, tf


def net(images, num_classes, *, training):
    h = images
    for i, filters in enumerate([32, 64, 64]):
        h = layers.conv2d(h, filters, 3, padding="same", use_bias=False, name=f"conv{i}")
        h = layers.batch_normalization(h, momentum=0.95, training=training, name=f"bn{i}")
        h = layers.max_pooling2d(tf.nn.relu(h), 2, 2)
    h = layers.dense(layers.flatten(h), 128, activation=tf.nn.relu, name="dense1")
    return layers.dense(h, num_classes, name="logits")


with Train(
    dataset="cifar10",
    model=net,
    augment=["flip", {"pad_and_crop": {"pixels": 4}}],
    learning_rate=0.002,
    schedule="exponential",
    decay_steps=500,
    decay_rate=0.7,
    batch_size=128,
    steps=int(sys.argv[1]) if len(sys.argv) > 1 else 1500,
) as train:
    print(f"accuracy {train.train()['accuracy']:.4f}")
