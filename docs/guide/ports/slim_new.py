"""`slim_old.py` for cnnlab: contrib's defaults written out, penalties and UPDATE_OPS built in."""

import sys

from cnnlab import Train, layers, tf


def conv(x, filters, name, training):
    # slim: padding SAME, no bias where there is batch norm, relu after it.
    x = layers.conv2d(x, filters, 3, padding="same", use_bias=False, name=name)
    x = layers.batch_normalization(x, momentum=0.95, training=training, name=f"{name}_bn")
    return layers.max_pooling2d(tf.nn.relu(x), 2, 2)


def net(images, num_classes, *, training):
    h = conv(images, 16, "conv1", training)
    h = conv(h, 32, "conv2", training)
    h = layers.dense(layers.flatten(h), 128, activation=tf.nn.relu, name="dense1")
    h = layers.dropout(h, 0.3, training=training)
    return layers.dense(h, num_classes, name="logits")


with Train(
    dataset="mnist",
    validation_split=5000 / 60000,
    model=net,
    l2=0.0005 / 2,  # slim's regularizer has a factor of 1/2
    learning_rate=0.001,
    schedule="constant",
    batch_size=100,
    steps=int(sys.argv[1]) if len(sys.argv) > 1 else 2000,
) as train:
    print(f"accuracy {train.train()['accuracy']:.4f}")
