"""CIFAR-10 as in 2018: a one-shot iterator over arrays, and MonitoredTrainingSession."""

import sys
import time

import tensorflow as tf

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
BATCH_SIZE = 128


def augment(image, label):
    image = tf.image.resize_image_with_crop_or_pad(tf.cast(image, tf.float32) / 255.0, 40, 40)
    image = tf.image.random_flip_left_right(tf.random_crop(image, [32, 32, 3]))
    return image, label


def net(images, is_training):
    h = images
    for i, filters in enumerate([32, 64, 64]):
        h = tf.layers.conv2d(h, filters, 3, padding="same", use_bias=False, name="conv%d" % i)
        h = tf.layers.batch_normalization(h, momentum=0.95, training=is_training, name="bn%d" % i)
        h = tf.layers.max_pooling2d(tf.nn.relu(h), 2, 2)
    h = tf.layers.dense(tf.layers.flatten(h), 128, activation=tf.nn.relu, name="dense1")
    return tf.layers.dense(h, 10, name="logits")


class Speed(tf.train.SessionRunHook):
    def begin(self):
        self.times = []

    def after_run(self, context, values):
        self.times.append(time.time())

    def end(self, session):
        times = self.times[len(self.times) // 5 :]
        print("images/s %.0f" % ((len(times) - 1) * BATCH_SIZE / (times[-1] - times[0])))


(x_train, y_train), (x_test, y_test) = tf.keras.datasets.cifar10.load_data()

with tf.Graph().as_default():
    data = tf.data.Dataset.from_tensor_slices((x_train, y_train[:, 0].astype("int32")))
    data = data.shuffle(10000).repeat().map(augment, num_parallel_calls=2)
    images, labels = data.batch(BATCH_SIZE).prefetch(2).make_one_shot_iterator().get_next()
    loss = tf.losses.sparse_softmax_cross_entropy(labels, net(images, True))
    step = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(0.002, step, 500, 0.7, staircase=True)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        train_op = tf.train.AdamOptimizer(rate).minimize(loss, global_step=step)
    hooks = [tf.train.StopAtStepHook(last_step=STEPS), Speed()]
    with tf.train.MonitoredTrainingSession(checkpoint_dir="checkpoints", hooks=hooks) as sess:
        while not sess.should_stop():
            sess.run(train_op)

with tf.Graph().as_default():
    data = tf.data.Dataset.from_tensor_slices((x_test, y_test[:, 0].astype("int64")))
    images, labels = data.batch(500).make_one_shot_iterator().get_next()
    logits = net(tf.cast(images, tf.float32) / 255.0, False)
    right = tf.reduce_sum(tf.cast(tf.equal(tf.argmax(logits, 1), labels), tf.float32))
    with tf.Session() as sess:
        tf.train.Saver().restore(sess, tf.train.latest_checkpoint("checkpoints"))
        total = sum(sess.run(right) for _ in range(len(x_test) // 500))
    print("accuracy %.4f" % (total / len(x_test)))
