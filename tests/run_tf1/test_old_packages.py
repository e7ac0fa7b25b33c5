"""Other packages as programs knew them: matplotlib without a display, SciPy, scikit-learn."""

from pathlib import Path

import pytest

from tests.run_tf1.old_programs import succeeded


@pytest.mark.slow
def test_animations_without_a_display_and_old_arguments(tmp_path: Path) -> None:
    """A program that trains in the frames of an animation, in a module of its own, trains."""
    (tmp_path / "window.py").write_text(
        "import matplotlib.pyplot as plt\n"
        "import matplotlib.animation as animation\n"
        "def train(step):\n"
        "    figure = plt.figure()\n"
        "    plt.gcf().canvas.set_window_title('digits')\n"
        "    plt.gca().lines.remove(plt.plot([2])[0])\n"
        "    plt.plot([1], label='a')\n"
        "    plt.legend().draggable(True)\n"
        "    a = animation.FuncAnimation(figure, step, 10, init_func=list, repeat=False)\n"
        "    b = animation.FuncAnimation(figure, step, init_func=list, cache_frame_data=False)\n"
        "    plt.show(block=True)\n"
    )
    done = succeeded(
        """
        import numpy as np
        import tensorflow as tf
        import window
        from scipy import ndimage
        from sklearn.manifold import TSNE
        count = tf.Variable(0.0)
        add = count.assign_add(1.0)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            window.train(lambda frame: session.run(add) and [])
            print("steps", session.run(count))
        print(ndimage.rotate(np.eye(8), np.array([5]), reshape=False).shape)
        print(TSNE(n_iter=300).get_params()["max_iter"])
        """,
        DISPLAY="",
        WAYLAND_DISPLAY="",
    )
    assert done.stdout.splitlines() == ["steps 10.0", "(8, 8)", "300"]
    assert "its frames are computed, and not shown" in done.stderr
    assert "sklearn.manifold.TSNE(n_iter=)" in done.stderr
    assert "Warning" not in done.stderr
