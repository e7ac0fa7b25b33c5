"""cnnlab through its public interface, with the workload's settings and otherwise the defaults."""

from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import Train
from cnnlab.base.tf1 import tf
from cnnlab.data.datasets import load_dataset
from cnnlab.data.pipeline import make_index_stream
from cnnlab.layers.variables import FROZEN
from cnnlab.run.loop import run_steps
from scripts.bench.contestants import Contestant
from scripts.bench.workloads import Workload


class CnnlabContestant(Contestant):
    """cnnlab's fused loop; see scripts.bench.contestants.Contestant."""

    def __init__(self, workload: Workload, data_dir: str, scratch: Path) -> None:
        options = workload.cnnlab_options()
        options.update(data_dir=data_dir, save_dir=str(scratch / "save"))
        self._train = Train(**options)
        self._train.build_graph()
        self._session = self._train.session

    def run(self, steps: int) -> int:
        """Make training steps in cnnlab's own loop, without hooks."""
        run_steps(self._train, (), self._train.step + steps)
        return steps

    def load(self, start_file: Path) -> None:
        """Load the weights of a start file."""
        with np.load(start_file) as start:
            for variable in self._weights():
                initializer = variable.initializer
                self._session.run(initializer, {initializer.inputs[1]: start[variable.op.name]})

    def losses(self, start_file: Path, steps: int) -> list[float]:
        """Write the start file; return each step's loss on its batch."""
        config = self._train.config
        labels = load_dataset(config.dataset, config.data_dir).train.labels
        with tf.Graph().as_default(), tf.Session() as session:
            stream = make_index_stream(len(labels), config.batch_size, config.seed, 0)
            next_indices = stream.get_next()
            batches = np.stack([session.run(next_indices) for _ in range(steps)])
        weights = {variable.op.name: variable for variable in self._weights()}
        np.savez(start_file, batches=batches, **self._session.run(weights))
        # The graph draws these same batches, and fetching the objective makes a step.
        objective = self._train.train_graph.objective
        return [float(self._session.run(objective)) for _ in batches]

    def evaluate(self, batch_size: int) -> dict[str, float]:
        """Return loss and accuracy of the test set; cnnlab chooses the batch size."""
        del batch_size
        return self._train.evaluate("test")

    def predict(self, batch_size: int) -> Any:
        """Return class probabilities of the test set; cnnlab chooses the batch size."""
        del batch_size
        return self._train.predict(self._train.data.split("test").images)

    def _weights(self) -> list[Any]:
        """Return the network's variables: trained, frozen, and batch norm's moving averages."""
        with self._train.graph.as_default():
            averages = [v for v in tf.global_variables() if "/moving_" in v.op.name]
            return [*tf.trainable_variables(), *tf.get_collection(FROZEN), *averages]
