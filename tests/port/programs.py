"""Programs in the idioms of TensorFlow 0.x to 1.15, written for the tests."""

from tests.port.programs_with_feeds import FED_RATE, OLD_NAMES, RATE_BY_EPOCH

SOFTMAX = """
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("data", one_hot=True)
x = tf.placeholder(tf.float32, [None, 784])
W = tf.Variable(tf.zeros([784, 10]))
b = tf.Variable(tf.zeros([10]))
y = tf.nn.softmax(tf.matmul(x, W) + b)
y_ = tf.placeholder(tf.float32, [None, 10])
cross_entropy = -tf.reduce_sum(y_ * tf.log(y))
train_step = tf.train.GradientDescentOptimizer(0.01).minimize(cross_entropy)
sess = tf.InteractiveSession()
sess.run(tf.initialize_all_variables())
for i in range(1000):
    batch_xs, batch_ys = mnist.train.next_batch(100)
    sess.run(train_step, feed_dict={x: batch_xs, y_: batch_ys})
"""

SCOPES = """
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

BATCH_SIZE = 50
EPOCHS = 2


def weight(shape, beta):
    w = tf.get_variable("w", shape, initializer=tf.truncated_normal_initializer(stddev=0.1))
    if beta:
        tf.add_to_collection("losses", beta * tf.nn.l2_loss(w))
    return w


mnist = input_data.read_data_sets("data/fashion")
images_ph = tf.placeholder(tf.float32, [None, 28, 28, 1], name="images")
labels_ph = tf.placeholder(tf.int64, [None], name="labels")
keep_prob = tf.placeholder(tf.float32)
global_step = tf.Variable(0, trainable=False)
with tf.variable_scope("conv1"):
    h = tf.nn.relu(tf.nn.conv2d(images_ph, weight([5, 5, 1, 8], 0), [1, 1, 1, 1], "SAME"))
    h = tf.nn.max_pool(h, [1, 4, 4, 1], [1, 4, 4, 1], "SAME")
flat = tf.reshape(h, [-1, 7 * 7 * 8])
with tf.variable_scope("fc"):
    flat = tf.nn.dropout(flat, keep_prob)
    logits = tf.matmul(flat, weight([7 * 7 * 8, 10], 0.001))
data_loss = tf.reduce_mean(
    tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels_ph, logits=logits)
)
loss = data_loss + tf.add_n(tf.get_collection("losses"))
rate = tf.train.exponential_decay(0.05, global_step, 100, 0.95, staircase=True)
train_op = tf.train.MomentumOptimizer(rate, 0.9).minimize(loss, global_step=global_step)
correct = tf.equal(tf.argmax(logits, 1), labels_ph)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for epoch in range(EPOCHS):
        for _ in range(mnist.train.num_examples // BATCH_SIZE):
            images, labels = mnist.train.next_batch(BATCH_SIZE)
            feed = {images_ph: images.reshape([-1, 28, 28, 1]), labels_ph: labels, keep_prob: 0.5}
            _, value = sess.run([train_op, loss], feed)
        print(sess.run(correct, {images_ph: mnist.test.images.reshape([-1, 28, 28, 1]),
                                 labels_ph: mnist.test.labels, keep_prob: 1.0}))
"""

LAYERS = """
import numpy as np
import tensorflow as tf

(x_train, y_train), (x_test, y_test) = tf.keras.datasets.mnist.load_data()
x_train = (x_train.reshape(-1, 28, 28, 1) - 127.5) / 127.5
y_train = np.asarray(y_train, np.int32)
tf.set_random_seed(42)
batch_size = 64
x = tf.placeholder(tf.float32, (None, 28, 28, 1))
y = tf.placeholder(tf.int32, (None,))
is_training = tf.placeholder_with_default(False, shape=())
net = tf.layers.conv2d(x, 8, 3, padding="same", use_bias=False)
net = tf.layers.batch_normalization(net, training=is_training)
net = tf.nn.relu(net)
net = tf.layers.flatten(tf.layers.max_pooling2d(net, 4, 4))
net = tf.layers.dropout(net, 0.3, training=is_training)
logits = tf.layers.dense(net, 10, kernel_regularizer=tf.contrib.layers.l2_regularizer(1e-3))
loss = tf.losses.sparse_softmax_cross_entropy(y, logits) + tf.losses.get_regularization_loss()
with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
    train_op = tf.train.AdamOptimizer(1e-3, epsilon=1e-4).minimize(loss)
session = tf.Session()
session.run(tf.global_variables_initializer())
for epoch in range(3):
    for i in range(0, len(x_train), batch_size):
        fed = {x: x_train[i : i + batch_size], y: y_train[i : i + batch_size], is_training: True}
        session.run(train_op, feed_dict=fed)
"""

FLAGS_AND_MAIN = """
import argparse
import sys
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

FLAGS = None


def weight_variable(shape):
    return tf.Variable(tf.truncated_normal(shape, stddev=0.1))


def deep(x):
    x_image = tf.reshape(x, [-1, 28, 28, 1])
    h = tf.nn.relu(tf.nn.conv2d(x_image, weight_variable([5, 5, 1, 4]), [1, 2, 2, 1], "SAME"))
    flat = tf.reshape(h, [-1, 14 * 14 * 4])
    keep_prob = tf.placeholder(tf.float32)
    dropped = tf.nn.dropout(flat, keep_prob)
    return tf.matmul(dropped, weight_variable([14 * 14 * 4, 10])), keep_prob


def main(_):
    mnist = input_data.read_data_sets(FLAGS.data_dir, one_hot=True)
    x = tf.placeholder(tf.float32, [None, 784])
    y_ = tf.placeholder(tf.float32, [None, 10])
    y_conv, keep_prob = deep(x)
    with tf.name_scope("loss"):
        cross_entropy = tf.nn.softmax_cross_entropy_with_logits(labels=y_, logits=y_conv)
        cross_entropy = tf.reduce_mean(cross_entropy)
    train_step = tf.train.AdamOptimizer(FLAGS.learning_rate).minimize(cross_entropy)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for i in range(FLAGS.max_steps):
            batch = mnist.train.next_batch(50)
            train_step.run(feed_dict={x: batch[0], y_: batch[1], keep_prob: 0.5})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data_dir", default="/tmp/mnist")
    parser.add_argument("--learning_rate", type=float, default=1e-4)
    parser.add_argument("--max_steps", type=int, default=300)
    FLAGS, unparsed = parser.parse_known_args()
    tf.app.run(main=main, argv=[sys.argv[0]] + unparsed)
"""

CLASS = """
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data


class Net(object):
    def __init__(self, session, rate):
        self.session = session
        self.rate = rate
        self._build()

    def _build(self):
        with tf.variable_scope("net"):
            self.training = tf.placeholder(tf.bool)
            self.X = tf.placeholder(tf.float32, [None, 784])
            self.Y = tf.placeholder(tf.float32, [None, 10])
            image = tf.reshape(self.X, [-1, 28, 28, 1])
            conv = tf.layers.conv2d(image, 4, [3, 3], activation=tf.nn.relu, name="conv")
            drop = tf.layers.dropout(conv, rate=0.2, training=self.training)
            self.logits = tf.layers.dense(tf.layers.flatten(drop), units=10, name="out")
        self.cost = tf.reduce_mean(
            tf.nn.softmax_cross_entropy_with_logits_v2(logits=self.logits, labels=self.Y)
        )
        self.optimizer = tf.train.RMSPropOptimizer(self.rate, 0.95).minimize(self.cost)

    def train(self, x, y):
        return self.session.run(
            [self.cost, self.optimizer], feed_dict={self.X: x, self.Y: y, self.training: True}
        )


sess = tf.Session()
net = Net(sess, 0.002)
sess.run(tf.global_variables_initializer())
mnist = input_data.read_data_sets("data", one_hot=True)
for epoch in range(2):
    for i in range(int(mnist.train.num_examples / 100)):
        batch_xs, batch_ys = mnist.train.next_batch(100)
        c, _ = net.train(batch_xs, batch_ys)
"""

ESTIMATOR = """
import numpy as np
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data


def cnn_model_fn(features, labels, mode):
    layer = tf.reshape(features["x"], [-1, 28, 28, 1])
    conv = tf.layers.conv2d(inputs=layer, filters=4, kernel_size=[5, 5], activation=tf.nn.relu)
    flat = tf.reshape(conv, [-1, 24 * 24 * 4])
    dropout = tf.layers.dropout(flat, rate=0.4, training=mode == tf.estimator.ModeKeys.TRAIN)
    logits = tf.layers.dense(inputs=dropout, units=10)
    predictions = {"classes": tf.argmax(input=logits, axis=1)}
    if mode == tf.estimator.ModeKeys.PREDICT:
        return tf.estimator.EstimatorSpec(mode=mode, predictions=predictions)
    loss = tf.losses.sparse_softmax_cross_entropy(labels=labels, logits=logits)
    if mode == tf.estimator.ModeKeys.TRAIN:
        optimizer = tf.train.GradientDescentOptimizer(learning_rate=0.001)
        train_op = optimizer.minimize(loss=loss, global_step=tf.train.get_global_step())
        return tf.estimator.EstimatorSpec(mode=mode, loss=loss, train_op=train_op)
    metrics = {"accuracy": tf.metrics.accuracy(labels, predictions["classes"])}
    return tf.estimator.EstimatorSpec(mode=mode, loss=loss, eval_metric_ops=metrics)


def main(unused_argv):
    mnist = input_data.read_data_sets("data")
    classifier = tf.estimator.Estimator(model_fn=cnn_model_fn, model_dir="/tmp/model")
    train_input_fn = tf.estimator.inputs.numpy_input_fn(
        x={"x": mnist.train.images}, y=np.asarray(mnist.train.labels, dtype=np.int32),
        batch_size=100, num_epochs=None, shuffle=True)
    classifier.train(input_fn=train_input_fn, steps=2000)


if __name__ == "__main__":
    tf.app.run()
"""

ITERATOR = """
import tensorflow as tf

(images, labels), _ = tf.keras.datasets.fashion_mnist.load_data()
images = images / 255.0
dataset = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(1000).batch(32)
iterator = dataset.make_initializable_iterator()
x, y = iterator.get_next()
x = tf.reshape(tf.cast(x, tf.float32), [-1, 784])
w = tf.get_variable("w", [784, 10])
logits = tf.matmul(x, w)
loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(logits=logits, labels=y))
train = tf.train.AdadeltaOptimizer(0.5, rho=0.9).minimize(loss)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for epoch in range(4):
        sess.run(iterator.initializer)
        while True:
            try:
                sess.run(train)
            except tf.errors.OutOfRangeError:
                break
"""

SLIM = """
import tensorflow as tf
import tensorflow.contrib.slim as slim
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("data", one_hot=True)
x = tf.placeholder("float", shape=[None, 784])
y = tf.placeholder("float", shape=[None, 10])
net = slim.conv2d(tf.reshape(x, [-1, 28, 28, 1]), 4, [5, 5], scope="conv1")
net = slim.max_pool2d(net, [2, 2], scope="pool1")
net = slim.flatten(net)
logits = slim.fully_connected(net, 10, activation_fn=None, scope="out")
cost = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(logits=logits, labels=y))
train = tf.train.AdamOptimizer().minimize(cost)
step = 1
training_iters, batch_size = 64000, 64
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    while step * batch_size < training_iters:
        bx, by = mnist.train.next_batch(batch_size)
        sess.run(train, feed_dict={x: bx, y: by})
        step += 1
"""

PROGRAMS = {
    "softmax": SOFTMAX,
    "scopes": SCOPES,
    "layers": LAYERS,
    "flags_and_main": FLAGS_AND_MAIN,
    "class": CLASS,
    "estimator": ESTIMATOR,
    "iterator": ITERATOR,
    "slim": SLIM,
    "fed_rate": FED_RATE,
    "rate_by_epoch": RATE_BY_EPOCH,
    "old_names": OLD_NAMES,
}
