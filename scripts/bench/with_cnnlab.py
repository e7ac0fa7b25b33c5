"""cnnlab through its public interface, with the workload's recipe and otherwise its defaults."""

import time
from pathlib import Path

import numpy as np

from bench.workloads import Workload
from cnnlab import Train
from cnnlab.data.datasets import load_dataset
from cnnlab.data.pipeline import make_index_stream
from cnnlab.loop import Pacer
from cnnlab.tf1 import tf


class CnnlabContestant:
    """cnnlab's fused loop; see bench.contestants.Contestant."""

    def __init__(self, workload: Workload, data_dir: str, scratch: Path) -> None:
        options = workload.cnnlab_options()
        options.update(
            data_dir=data_dir, save_dir=str(scratch / "save"), log_dir=str(scratch / "logs")
        )
        self._train = Train(**options)
        self._train.build_graph()
        self._session = self._train.session
        self._pacer = Pacer(self._train.config.steps_per_run)

    def run(self, steps: int) -> None:
        """Make training steps, as many in one session run as cnnlab's own loop chooses."""
        train, done = self._train, 0
        while done < steps:
            now = self._pacer.steps(done, steps, ())
            started = time.perf_counter()
            self._session.run(train.train_op, {train.steps_ph: now})
            self._pacer.learn(now, time.perf_counter() - started)
            done += now

    def losses(self, steps: int, start_file: Path) -> list[float]:
        """Write the start to the file; return each step's loss, of the batch it then trains on."""
        train = self._train
        split = load_dataset(train.config.dataset, train.config.data_dir).train
        images, labels = split.images, split.labels
        with tf.Graph().as_default(), tf.Session() as session:
            config = train.config
            stream = make_index_stream(len(labels), config.batch_size, config.seed, 0)
            next_indices = stream.get_next()
            batches = np.stack([session.run(next_indices) for _ in range(steps)])
        with train.graph.as_default():
            weights = {v.op.name: v for v in tf.trainable_variables()}
        np.savez(start_file, batches=batches, **self._session.run(weights))
        losses = []
        for batch in batches:
            feed = {train.images_ph: images[batch], train.labels_ph: labels[batch]}
            losses.append(float(self._session.run(train.loss, feed)))
            self._session.run(train.train_op)  # it draws the same batch by itself
        return losses
