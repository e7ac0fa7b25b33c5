"""Programs that draw pictures, and that ask for a device that is not there."""

import os
from pathlib import Path

import pytest

from tests.run_tf1.old_programs import succeeded


@pytest.mark.slow
def test_pictures_and_a_device_that_is_not_there(tmp_path: Path) -> None:
    """Without a display figures are drawn all the same; without a GPU the CPU computes."""
    environment = {name: "" for name in ("DISPLAY", "WAYLAND_DISPLAY") if name in os.environ}
    done = succeeded(
        """
        import matplotlib
        matplotlib.use("TkAgg")
        import matplotlib.pyplot as plt
        import numpy as np, time
        import scipy.misc
        import tensorflow as tf
        start = time.clock()
        ones = np.lib.pad(np.ones((2, 1), np.float), [(0, 0), (1, 1)], "edge")
        with tf.device("/gpu:0"):
            total = tf.reduce_sum(tf.constant(ones))
        with tf.Session(config=tf.ConfigProto(gpu_options=tf.GPUOptions(allow_growth=True))) as s:
            assert s.run(total) == 6
        plt.plot([1, 2])
        plt.show()
        plt.savefig("figure.png")
        scipy.misc.imsave("grey.png", np.arange(12.0).reshape(3, 4))
        assert scipy.misc.imread("grey.png").shape == (3, 4)
        assert scipy.misc.imresize(np.zeros((4, 4), np.uint8), (2, 3)).shape == (2, 3)
        """,
        **environment,
    )
    assert "figures are drawn, and not shown" in done.stderr
    assert "time.clock" in done.stderr
    assert "the CPU, because TensorFlow sees no GPU" in done.stderr
    assert (tmp_path / "figure.png").exists()
