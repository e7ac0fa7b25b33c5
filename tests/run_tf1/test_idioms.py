"""Programs in the idioms of TensorFlow 0.5 to 1.15 run unchanged, and learn."""

from pathlib import Path

import pytest

from tests.run_tf1.old_programs import succeeded, write_digits

FEED = """
    from __future__ import absolute_import, division, print_function
    import argparse, sys
    from tensorflow.examples.tutorials.mnist import input_data
    import tensorflow as tf

    FLAGS = None

    def main(_):
        mnist = input_data.read_data_sets(FLAGS.data_dir, one_hot=True, validation_size=200)
        x = tf.placeholder(tf.float32, [None, 784])
        y_ = tf.placeholder(tf.float32, [None, 10])
        W = tf.Variable(tf.zeros([784, 10]))
        b = tf.Variable(tf.zeros([10]))
        y = tf.matmul(x, W) + b
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y_, logits=y))
        train_step = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
        sess = tf.InteractiveSession()
        tf.global_variables_initializer().run()
        for _ in range(60):
            xs, ys = mnist.train.next_batch(100)
            sess.run(train_step, feed_dict={x: xs, y_: ys})
        right = tf.equal(tf.argmax(y, 1), tf.argmax(y_, 1))
        accuracy = tf.reduce_mean(tf.cast(right, tf.float32))
        print("accuracy", accuracy.eval({x: mnist.test.images, y_: mnist.test.labels}))

    if __name__ == "__main__":
        parser = argparse.ArgumentParser()
        parser.add_argument("--data_dir", type=str, default="/nowhere")
        FLAGS, unparsed = parser.parse_known_args()
        tf.app.run(main=main, argv=[sys.argv[0]] + unparsed)
"""


def accuracy_of(stdout: str) -> float:
    return float(stdout.rsplit("accuracy", 1)[1].split()[0])


@pytest.mark.slow
def test_feed_dict_and_the_report(tmp_path: Path) -> None:
    write_digits(tmp_path / "digits")
    done = succeeded(FEED, "--data_dir", "digits")
    assert accuracy_of(done.stdout) > 0.9
    assert done.stderr.splitlines()[-2:] == [
        "run-tf1: cnnlab's own training, with exact resumption, for this program:",
        "  cnnlab train --dataset=mnist --optimizer=sgd --learning_rate=0.5 --schedule=constant "
        "--batch_size=100 --steps=60 --model=mnist_perceptron",
    ]


@pytest.mark.slow
def test_layers_saver_and_summaries(tmp_path: Path) -> None:
    write_digits(tmp_path / "MNIST_data")
    done = succeeded(
        """
        import os, glob
        import tensorflow as tf
        from tensorflow.examples.tutorials.mnist import input_data
        tf.app.flags.DEFINE_integer("steps", 40, "steps")
        tf.app.flags.DEFINE_string("log_dir", "logs", "taken by absl since")
        FLAGS = tf.app.flags.FLAGS

        def net(x, is_training):
            x = tf.reshape(x, [-1, 28, 28, 1])
            x = tf.layers.conv2d(x, 8, 3, padding="same", activation=tf.nn.relu, name="conv")
            x = tf.layers.batch_normalization(x, momentum=0.8, training=is_training)
            x = tf.layers.max_pooling2d(x, 2, 2)
            x = tf.layers.dropout(tf.layers.flatten(x), 0.2, training=is_training)
            return tf.layers.dense(x, 10)

        def main(argv):
            mnist = input_data.read_data_sets("MNIST_data", validation_size=0)
            x = tf.placeholder(tf.float32, [None, 784])
            y = tf.placeholder(tf.int64, [None])
            is_training = tf.placeholder_with_default(False, [])
            logits = net(x, is_training)
            loss = tf.losses.sparse_softmax_cross_entropy(y, logits)
            step = tf.train.get_or_create_global_step()
            rate = tf.train.exponential_decay(0.01, step, 10, 0.9, staircase=True)
            with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
                train_op = tf.train.AdamOptimizer(rate).minimize(loss, step)
            accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), y), tf.float32))
            tf.summary.scalar("loss", loss)
            merged = tf.summary.merge_all()
            saver = tf.train.Saver()
            writer = tf.summary.FileWriter(FLAGS.log_dir, tf.get_default_graph())
            with tf.Session() as sess:
                sess.run(tf.global_variables_initializer())
                for i in range(FLAGS.steps):
                    xs, ys = mnist.train.next_batch(50)
                    feed = {x: xs, y: ys, is_training: True}
                    text, _ = sess.run([merged, train_op], feed)
                    writer.add_summary(text, i)
                saver.save(sess, "model/net.ckpt", global_step=step)
            with tf.Session() as sess:
                saver.restore(sess, tf.train.latest_checkpoint("model"))
                test = {x: mnist.test.images, y: mnist.test.labels}
                print("step", sess.run(step), "accuracy", sess.run(accuracy, test))
            assert glob.glob("logs/events.out.tfevents.*")
            names = [v.name for v in tf.trainable_variables()]
            assert names[:2] == ["conv/kernel:0", "conv/bias:0"]

        if __name__ == "__main__":
            tf.app.run()
    """,
        "--steps=30",
    )
    assert "step 30" in done.stdout
    assert accuracy_of(done.stdout) > 0.8
    assert "--decay_steps=10 --decay_rate=0.9 --staircase=True" in done.stderr


@pytest.mark.slow
def test_contrib_layers_and_slim(tmp_path: Path) -> None:
    """The variables' names, the defaults and the collections are those of version 1.15."""
    succeeded("""
        import numpy as np
        import tensorflow as tf
        import tensorflow.contrib.slim as slim
        from tensorflow.contrib import layers
        from tensorflow.contrib.framework import arg_scope
        from tensorflow.contrib.layers import l2_regularizer, xavier_initializer

        x = tf.placeholder(tf.float32, [None, 12, 12, 3])
        is_training = tf.placeholder(tf.bool, [])
        with slim.arg_scope([slim.conv2d, slim.fully_connected],
                            weights_regularizer=slim.l2_regularizer(0.01)):
            with arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm,
                           normalizer_params={"is_training": is_training, "decay": 0.9}):
                net = slim.repeat(x, 2, slim.conv2d, 4, [3, 3], scope="conv")
            net = slim.max_pool2d(net, [2, 2])
            assert net.shape.as_list() == [None, 6, 6, 4], net
            net = layers.flatten(net)
            net = layers.dropout(net, 0.5, is_training=is_training)
            logits = slim.fully_connected(net, 5, activation_fn=None)
        names = [v.op.name for v in tf.global_variables()]
        assert names[:4] == ["conv/conv_1/weights", "conv/conv_1/BatchNorm/beta",
                             "conv/conv_1/BatchNorm/moving_mean",
                             "conv/conv_1/BatchNorm/moving_variance"], names
        assert names[-2:] == ["fully_connected/weights", "fully_connected/biases"]
        assert len(slim.get_model_variables()) == len(names)
        penalties = tf.losses.get_regularization_losses()
        assert len(penalties) == 3
        labels = tf.placeholder(tf.int64, [None])
        slim.losses.sparse_softmax_cross_entropy(logits, labels)
        total = slim.losses.get_total_loss()
        assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS)) == 4
        train_op = slim.learning.create_train_op(total, tf.train.MomentumOptimizer(0.1, 0.9))
        weights = tf.trainable_variables("conv/conv_1")[0]
        images = np.random.RandomState(0).rand(20, 12, 12, 3).astype("f")
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            value, penalty = sess.run([weights, penalties[0]])
            assert abs(0.01 * (value ** 2).sum() / 2 - penalty) < 1e-6
            limit = np.sqrt(6 / (27 + 36))  # Glorot's uniform
            assert 0.8 * limit < abs(value).max() <= limit
            moving = tf.global_variables("conv/conv_1/BatchNorm/moving_variance")[0]
            feed = {x: images, labels: np.arange(20) % 5, is_training: True}
            losses = [sess.run(train_op, feed) for _ in range(30)]
            assert losses[-1] < losses[0]
            assert sess.run(tf.train.get_global_step()) == 30
            assert not np.allclose(sess.run(moving), 1)
            feed[is_training] = False
            first, again = sess.run(logits, feed), sess.run(logits, feed)
            assert (first == again).all()
        try:
            slim.nets
        except AttributeError as error:
            print(error)
    """)


@pytest.mark.slow
def test_queue_runners_and_a_monitored_session() -> None:
    done = succeeded("""
        import numpy as np, os
        import tensorflow as tf
        for number in range(2):
            records = np.random.RandomState(number).randint(0, 256, (40, 1 + 8 * 8 * 3))
            records[:, 0] %= 10
            records.astype(np.uint8).tofile("data_batch_%d.bin" % number)
        names = tf.train.string_input_producer(["data_batch_0.bin", "data_batch_1.bin"])
        reader = tf.FixedLengthRecordReader(record_bytes=1 + 8 * 8 * 3)
        key, value = reader.read(names)
        record = tf.decode_raw(value, tf.uint8)
        label = tf.cast(tf.strided_slice(record, [0], [1]), tf.int32)
        label.set_shape([1])
        image = tf.transpose(tf.reshape(tf.strided_slice(record, [1], [193]), [3, 8, 8]), [1, 2, 0])
        image = tf.image.per_image_standardization(tf.cast(image, tf.float32))
        images, labels = tf.train.shuffle_batch([image, label], 16, 60, 20, num_threads=2)
        net = tf.contrib.layers.fully_connected(tf.contrib.layers.flatten(images), 10,
                                                activation_fn=None)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
            logits=net, labels=tf.reshape(labels, [-1])))
        step = tf.contrib.framework.get_or_create_global_step()
        train_op = tf.train.GradientDescentOptimizer(0.1).minimize(loss, global_step=step)

        class Logger(tf.train.SessionRunHook):
            def before_run(self, run_context):
                return tf.train.SessionRunArgs(loss)
            def after_run(self, run_context, run_values):
                assert np.isfinite(run_values.results)

        with tf.train.MonitoredTrainingSession(
                checkpoint_dir="train", hooks=[tf.train.StopAtStepHook(last_step=12), Logger()],
                config=tf.ConfigProto(log_device_placement=False)) as session:
            while not session.should_stop():
                session.run(train_op)
        assert os.path.exists("train/model.ckpt-12.index")
        with tf.Session() as sess:
            coord = tf.train.Coordinator()
            sess.run(tf.global_variables_initializer())
            threads = tf.train.start_queue_runners(sess=sess, coord=coord)
            print(sess.run(images).shape)
            coord.request_stop()
            coord.join(threads)
    """)
    assert "(16, 8, 8, 3)" in done.stdout


@pytest.mark.slow
def test_names_and_arguments_of_version_0() -> None:
    succeeded("""
        import numpy as np, os
        import tensorflow as tf
        a = tf.placeholder("float", [2, 2])
        joined = tf.concat(1, [a, a])
        left, right = tf.split(1, 2, joined)
        packed = tf.pack([tf.mul(left, right), tf.sub(left, right), tf.neg(a)])
        cost = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(a, tf.ones([2, 2]) / 2))
        chosen = tf.select(tf.greater(a, 2), a, tf.zeros_like(a))
        product = tf.batch_matmul(tf.pack([a]), tf.pack([a]))
        turned = tf.reverse(a, [False, True])
        tf.scalar_summary("the cost", cost)
        tf.histogram_summary("a", a)
        tf.image_summary("images", tf.zeros([1, 4, 4, 1]))
        merged = tf.merge_all_summaries()
        v = tf.Variable(1.0)
        sess = tf.Session()
        sess.run(tf.initialize_all_variables())
        writer = tf.train.SummaryWriter("logs", sess.graph_def)
        value = np.array([[1.0, 2], [3, 4]], np.float32)
        feed = {a: value}
        assert (sess.run(joined, feed) == np.concatenate([value, value], 1)).all()
        assert (sess.run(packed, feed) == np.stack([value * value, 0 * value, -value])).all()
        assert (sess.run(chosen, feed) == [[0, 0], [3, 4]]).all()
        assert np.allclose(sess.run(product, feed)[0], value @ value)
        assert (sess.run(turned, feed) == value[:, ::-1]).all()
        assert abs(sess.run(cost, feed) - np.mean(np.log(1 + np.exp([1.0, 1]))) + 0.5) < 1e-5
        writer.add_summary(sess.run(merged, feed), 1)
        writer.close()
        [name] = os.listdir("logs")
        from tensorflow.python.summary.summary_iterator import summary_iterator
        tags = [v.tag for e in summary_iterator("logs/" + name) for v in e.summary.value]
        assert tags == ["the cost", "a", "images/image/0"], tags
        with tf.variable_scope("rnn"):
            cell = tf.nn.rnn_cell.BasicLSTMCell(4)
            outputs, state = tf.nn.rnn(cell, [a, a], dtype=tf.float32)
        sess.run(tf.initialize_all_variables())
        assert sess.run(outputs[-1], feed).shape == (2, 4)
    """)
