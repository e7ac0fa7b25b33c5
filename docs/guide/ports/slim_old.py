"""MNIST as in 2017: slim's layers in an arg_scope, batch norm, weight decay, create_train_op."""

import sys
import time

import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

slim = tf.contrib.slim

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
BATCH_SIZE = 100


def net(images, is_training):
    batch_norm = {"is_training": is_training, "decay": 0.95, "scale": True}
    with slim.arg_scope(
        [slim.conv2d, slim.fully_connected], weights_regularizer=slim.l2_regularizer(0.0005)
    ):
        with slim.arg_scope(
            [slim.conv2d], normalizer_fn=slim.batch_norm, normalizer_params=batch_norm
        ):
            h = slim.conv2d(images, 16, [3, 3], scope="conv1")
            h = slim.max_pool2d(h, [2, 2], scope="pool1")
            h = slim.conv2d(h, 32, [3, 3], scope="conv2")
            h = slim.max_pool2d(h, [2, 2], scope="pool2")
        h = slim.fully_connected(slim.flatten(h), 128, scope="dense1")
        h = slim.dropout(h, 0.7, is_training=is_training)
        return slim.fully_connected(h, 10, activation_fn=None, scope="logits")


mnist = input_data.read_data_sets("MNIST_data", one_hot=True, reshape=False)
images = tf.placeholder(tf.float32, [None, 28, 28, 1])
labels = tf.placeholder(tf.float32, [None, 10])
is_training = tf.placeholder(tf.bool, [])

logits = net(images, is_training)
tf.losses.softmax_cross_entropy(labels, logits)
train_op = slim.learning.create_train_op(tf.losses.get_total_loss(), tf.train.AdamOptimizer(0.001))
correct = tf.equal(tf.argmax(logits, 1), tf.argmax(labels, 1))
accuracy = tf.reduce_mean(tf.to_float(correct))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(STEPS):
        if step == STEPS // 5:
            start = time.time()
        x, y = mnist.train.next_batch(BATCH_SIZE)
        sess.run(train_op, {images: x, labels: y, is_training: True})
    print("images/s %.0f" % ((STEPS - STEPS // 5) * BATCH_SIZE / (time.time() - start)))
    feed = {images: mnist.test.images, labels: mnist.test.labels, is_training: False}
    print("accuracy %.4f" % sess.run(accuracy, feed))
