"""Arrays that a program puts into the graph stay outside it, and its batches stay the same."""

import pytest

from tests.run_tf1.old_programs import succeeded

PROGRAM = """
    import hashlib, os
    import numpy as np
    import tensorflow as tf
    tf.set_random_seed(7)
    generator = np.random.RandomState(3)
    images = generator.rand(SIZE, 28, 28, 1).astype(np.float32)
    labels = np.arange(SIZE)
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    data = data.shuffle(1000, seed=5).repeat().batch(32)
    batch, classes = data.make_one_shot_iterator().get_next()
    table = tf.constant(images)
    doubled = tf.Variable(images, trainable=False, collections=[tf.GraphKeys.LOCAL_VARIABLES])
    picked = tf.gather(table, classes)
    noise = tf.random_normal([3])
    one, = tf.train.slice_input_producer([images], shuffle=False)
    seen = hashlib.sha256()
    writer = tf.summary.FileWriter("logs", tf.get_default_graph())
    writer.close()
    with tf.Session() as sess:
        sess.run(tf.local_variables_initializer())
        coord = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(sess, coord)
        for _ in range(5):
            values, rows, again, random = sess.run([batch, classes, picked, noise])
            assert (values == images[rows]).all() and (again == values).all()
            seen.update(values.tobytes() + random.tobytes())
        assert (sess.run(one) == images[0]).all()
        assert (sess.run(doubled[-1]) == images[-1]).all()
        coord.request_stop()
        coord.join(threads)
    print("digest", seen.hexdigest())
    print("graph", tf.get_default_graph().as_graph_def().ByteSize())
    print("events", sum(os.path.getsize("logs/" + name) for name in os.listdir("logs")))
    print(table.op.name, table.shape, table.dtype.name)
"""


@pytest.mark.slow
def test_the_batches_are_the_same_and_the_graph_is_small() -> None:
    """31 MB, once held outside the graph and once in it, as TensorFlow does."""
    text = PROGRAM.replace("SIZE", "10000")
    held = succeeded(text)
    in_graph = succeeded(
        text.replace(
            "tf.set_random_seed(7)",
            "tf.set_random_seed(7)\n    from cnnlab.run_tf1 import held_constants\n"
            "    held_constants.LEAST_BYTES = 1 << 40",
        )
    )
    figures = [
        dict(line.split()[:2] for line in done.stdout.splitlines()) for done in (held, in_graph)
    ]
    assert figures[0]["digest"] == figures[1]["digest"]
    assert int(figures[0]["graph"]) < 300_000 < 30_000_000 < int(figures[1]["graph"])
    assert int(figures[0]["events"]) < 1_000_000 < int(figures[1]["events"])
    assert figures[0]["Const"] == figures[1]["Const"]
    assert "arrays of over 10 MB in the graph" in held.stderr


@pytest.mark.slow
def test_more_than_two_gigabytes() -> None:
    done = succeeded("""
        import numpy as np
        import tensorflow as tf
        images = np.zeros((75000, 32, 32, 8), np.float32)
        images[-1] = 1
        assert images.nbytes > 1 << 31
        data = tf.data.Dataset.from_tensor_slices(images).skip(74999).batch(1)
        batch = data.make_one_shot_iterator().get_next()
        with tf.Session() as sess:
            print(sess.run(batch).sum())
    """)
    assert done.stdout == "8192.0\n"
