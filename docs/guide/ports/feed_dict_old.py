"""MNIST as in 2016: placeholders, get_variable, and a feed_dict at each step."""

import sys
import time

import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
BATCH_SIZE = 100


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


mnist = input_data.read_data_sets("MNIST_data", one_hot=True)
x = tf.placeholder(tf.float32, [None, 784])
y = tf.placeholder(tf.float32, [None, 10])
keep_prob = tf.placeholder(tf.float32)

h = conv(tf.reshape(x, [-1, 28, 28, 1]), 16, "conv1")
h = conv(h, 32, "conv2")
h = tf.nn.relu(dense(tf.reshape(h, [-1, 7 * 7 * 32]), 256, "dense1"))
h = tf.nn.dropout(h, keep_prob)
logits = dense(h, 10, "logits")

loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=logits))
train_step = tf.train.AdamOptimizer(1e-3).minimize(loss)
correct = tf.equal(tf.argmax(logits, 1), tf.argmax(y, 1))
accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(STEPS):
        if step == STEPS // 5:
            start = time.time()
        images, labels = mnist.train.next_batch(BATCH_SIZE)
        sess.run(train_step, {x: images, y: labels, keep_prob: 0.5})
        if step % 500 == 0:
            feed = {x: mnist.validation.images, y: mnist.validation.labels, keep_prob: 1.0}
            print("step", step, "validation accuracy", sess.run(accuracy, feed))
    print("images/s %.0f" % ((STEPS - STEPS // 5) * BATCH_SIZE / (time.time() - start)))
    feed = {x: mnist.test.images, y: mnist.test.labels, keep_prob: 1.0}
    print("accuracy %.4f" % sess.run(accuracy, feed))
