"""MNIST as in 2016: TFRecord files, queue runners, a Coordinator, and a rate that decays."""

import os
import sys
import time

import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
BATCH_SIZE = 100
FILE = "mnist-train.tfrecords"


def write_records(data_set):
    with tf.python_io.TFRecordWriter(FILE) as writer:
        for image, label in zip(data_set.images, data_set.labels):
            feature = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


def read_batch():
    queue = tf.train.string_input_producer([FILE])
    _, record = tf.TFRecordReader().read(queue)
    features = tf.parse_single_example(
        record,
        {"image": tf.FixedLenFeature([], tf.string), "label": tf.FixedLenFeature([], tf.int64)},
    )
    image = tf.reshape(tf.decode_raw(features["image"], tf.uint8), [28, 28, 1])
    image = tf.cast(image, tf.float32) / 255.0
    return tf.train.shuffle_batch(
        [image, features["label"]],
        batch_size=BATCH_SIZE,
        num_threads=2,
        capacity=12000,
        min_after_dequeue=10000,
    )


def net(images, reuse=None):
    with tf.variable_scope("net", reuse=reuse):
        h = tf.layers.conv2d(images, 16, 5, padding="same", activation=tf.nn.relu, name="conv1")
        h = tf.layers.max_pooling2d(h, 2, 2)
        h = tf.layers.conv2d(h, 32, 5, padding="same", activation=tf.nn.relu, name="conv2")
        h = tf.layers.max_pooling2d(h, 2, 2)
        h = tf.layers.dense(tf.layers.flatten(h), 128, activation=tf.nn.relu, name="dense1")
        return tf.layers.dense(h, 10, name="logits")


mnist = input_data.read_data_sets("MNIST_data", dtype=tf.uint8, reshape=False, validation_size=0)
if not os.path.exists(FILE):
    write_records(mnist.train)

images, labels = read_batch()
loss = tf.losses.sparse_softmax_cross_entropy(labels, net(images))
global_step = tf.train.get_or_create_global_step()
rate = tf.train.exponential_decay(0.02, global_step, 500, 0.8, staircase=True)
train_op = tf.train.MomentumOptimizer(rate, 0.9).minimize(loss, global_step=global_step)

test_images = tf.placeholder(tf.uint8, [None, 28, 28, 1])
test_logits = net(tf.cast(test_images, tf.float32) / 255.0, reuse=True)
prediction = tf.argmax(test_logits, 1)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    coord = tf.train.Coordinator()
    threads = tf.train.start_queue_runners(sess=sess, coord=coord)
    for step in range(STEPS):
        if step == STEPS // 5:
            start = time.time()
        sess.run(train_op)
    print("images/s %.0f" % ((STEPS - STEPS // 5) * BATCH_SIZE / (time.time() - start)))
    right = 0
    for i in range(0, 10000, 1000):
        found = sess.run(prediction, {test_images: mnist.test.images[i : i + 1000]})
        right += (found == mnist.test.labels[i : i + 1000]).sum()
    print("accuracy %.4f" % (right / 10000.0))
    coord.request_stop()
    coord.join(threads)
