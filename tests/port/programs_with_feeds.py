"""Old programs that feed placeholders step by step, for the tests of `cnnlab port`."""

FED_RATE = """
import math
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("data", one_hot=True, reshape=False, validation_size=0)
X = tf.placeholder(tf.float32, [None, 28, 28, 1])
Y_ = tf.placeholder(tf.float32, [None, 10])
lr = tf.placeholder(tf.float32)
XX = tf.reshape(X, [-1, 784])
W1 = tf.Variable(tf.truncated_normal([784, 30], stddev=0.1))
B1 = tf.Variable(tf.ones([30]) / 10)
W2 = tf.Variable(tf.truncated_normal([30, 10], stddev=0.1))
Ylogits = tf.matmul(tf.nn.relu(tf.matmul(XX, W1) + B1), W2)
Y = tf.nn.softmax(Ylogits)
cross_entropy = tf.nn.softmax_cross_entropy_with_logits(logits=Ylogits, labels=Y_)
cross_entropy = tf.reduce_mean(cross_entropy) * 100
train_step = tf.train.AdamOptimizer(lr).minimize(cross_entropy)
sess = tf.Session()
sess.run(tf.global_variables_initializer())


def training_step(i):
    batch_X, batch_Y = mnist.train.next_batch(100)
    max_learning_rate = 0.003
    min_learning_rate = 0.0001
    spread = max_learning_rate - min_learning_rate
    learning_rate = min_learning_rate + spread * math.exp(-i / 2000.0)
    sess.run(train_step, {X: batch_X, Y_: batch_Y, lr: learning_rate})


for i in range(10000 + 1):
    training_step(i)
"""


RATE_BY_EPOCH = FED_RATE.replace(
    "def training_step(i):",
    "def rate_of(epoch):\n    return 0.01 if epoch < 3 else 0.001\n\n\ndef training_step(i):",
).replace("lr: learning_rate}", "lr: rate_of(i)}")


OLD_NAMES = """
import tensorflow as tf
import tensorflow.examples.tutorials.mnist.input_data as input_data

mnist = input_data.read_data_sets("data", one_hot=True)
x = tf.placeholder("float", [None, 784])
y_ = tf.placeholder("float", [None, 10])
scale = tf.mul(x, 2.0)
W = tf.Variable(tf.random_normal([784, 10], stddev=0.01), name="W")
y = tf.nn.softmax(tf.matmul(tf.sub(scale, 1.0), W))
cross_entropy = tf.reduce_mean(-tf.reduce_sum(y_ * tf.log(tf.clip_by_value(y, 1e-10, 1.0)),
                                              reduction_indices=[1]))
train_step = tf.train.AdagradOptimizer(0.1).minimize(cross_entropy)
init = tf.initialize_all_variables()
with tf.Session() as sess:
    sess.run(init)
    for i in xrange(500):
        xs, ys = mnist.train.next_batch(20)
        sess.run(train_step, feed_dict={x: xs, y_: ys})
"""
