"""The joined run: the base and the head as one network in one run directory.

Its options are those of a run that trains the head through the frozen base. So every command reads
it like any other run, and `cnnlab train` can train on from its checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import write_atomically
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import tf
from cnnlab.bottleneck.features import Base, needed_by
from cnnlab.config.options import replace
from cnnlab.graph.inference_graph import build_inference_graph
from cnnlab.graph.parts import Parts
from cnnlab.graph.update.averages import network_variables
from cnnlab.layers.tower import Head
from cnnlab.run.disk.checkpoint import Checkpoints
from cnnlab.run.disk.metrics_file import METRICS_FILE
from cnnlab.run.disk.run_directory import RunDirectory
from cnnlab.train import Train


class Parting(NamedTuple):
    """Where a network is divided into base and head.

    Attributes:
        head: see `cnnlab.layers.tower.Head`; its tensor belongs to another graph.
        base_variables, head_variables: their names.
    """

    head: Head
    base_variables: tuple[str, ...]
    head_variables: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """A regular expression that only the head's variables match."""
        scopes = dict.fromkeys(name.rpartition("/")[0] for name in self.head_variables)
        return f"^({'|'.join(map(re.escape, scopes))})/"


class JoinedRun(Train):
    """A run whose base is loaded and whose head is trained elsewhere.

    Attributes:
        parting: where the base ends; known after `part`.
    """

    parting: Parting

    def part(self) -> None:
        """Find out where the head begins, and freeze what is before it.

        Raises:
            UsageError: the network has no head, nothing before its head, or an option does not fit.
        """
        self.parting = self._find_parting()
        pattern = self.parting.pattern
        given = self.config.trainable
        matching = [
            name
            for name in (*self.parting.base_variables, *self.parting.head_variables)
            if given is not None and re.search(given, name)
        ]
        if given is not None and set(matching) != set(self.parting.head_variables):
            raise UsageError(
                f"--trainable={given} does not match the head alone, which bottleneck trains; "
                f"leave it out, or write --trainable='{pattern}'"
            )
        self._given.update(trainable=given or pattern, init_skip=self._skipped(pattern))

    def begin(self) -> int:
        """Check the options against a run that save_dir may hold; return the last step."""
        return self._resolve(None, {})

    def base(self) -> Base:
        """Return the base with its weights, which must all have been loaded."""
        session = self.session
        if missing := [n for n in self.parting.base_variables if n not in self._loaded]:
            some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise CnnlabError(
                f"--init_from={self.config.init_from} lacks {len(missing)} of "
                f"{len(self.parting.base_variables)} variables of the base of {self.config.model}: "
                f"{some}; are they the weights of another network?"
            )
        inference = self.train_graph.inference
        assert inference.head is not None
        return Base(self.config.model, session, inference.images_ph, inference.head.features)

    def head_start(self) -> dict[str, npt.NDArray[Any]]:
        """Return the values from which the head's variables start, by name."""
        session = self.session
        with building_in(self.graph):
            network = {variable.op.name: variable for variable in network_variables()}
        found: dict[str, npt.NDArray[Any]]
        found = session.run({name: network[name] for name in self.parting.head_variables})
        return found

    def load_head(self, values: Mapping[str, npt.NDArray[Any]]) -> None:
        """Set variables of the session: those of the head, of its optimizer, and the step.

        Raises:
            CnnlabError: the joined network has no such variable, or it has another shape.
        """
        session = self.session
        with building_in(self.graph):
            ours = {variable.op.name: variable for variable in tf.global_variables()}
            for name, value in values.items():
                if name not in ours or tuple(ours[name].shape.as_list()) != value.shape:
                    raise CnnlabError(f"the head's {name} {value.shape} does not fit the base")
                ours[name].load(value, session)

    def losses_of(
        self, logits: npt.NDArray[np.float32], labels: npt.NDArray[Any]
    ) -> npt.NDArray[np.float32]:
        """Return the configured loss of each image, float32 [n], from its logits."""
        inference = self.train_graph.inference
        feeds = {inference.logits: logits, inference.labels_ph: labels}
        losses: npt.NDArray[np.float32] = self.session.run(inference.losses, feeds)
        return losses

    def join(self, directory: RunDirectory, head: Path, total_steps: int) -> None:
        """Write the run directory from the finished run of the head.

        Args:
            directory: of the joined run.
            head: the run directory of the head.
            total_steps: the last step of the run.
        """
        self._start_writing(directory, total_steps)
        metrics = head / METRICS_FILE
        if metrics.is_file():
            write_atomically(directory.path / METRICS_FILE, metrics.read_bytes())
        for theirs, ours in (
            (Checkpoints(head / "best"), directory.best),
            (Checkpoints(head), directory.checkpoints),
        ):
            for step in theirs.steps()[-1:]:
                self.load_head(theirs.read(step, theirs.signatures(step)))
                ours.save(self.saver, self.session, step)

    def write_linear(
        self,
        directory: RunDirectory,
        weights: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32],
    ) -> None:
        """Write the run directory from the weights of a linear head, as the first step.

        Args:
            directory: of the joined run.
            weights: float32 [features, num_classes].
            bias: float32 [num_classes].

        Raises:
            UsageError: the network's last layer has no bias.
        """
        last = self.parting.head.last or {"name": "logits", "use_bias": True, "factor": 1.0}
        if not last["use_bias"]:
            raise UsageError(
                f"the last layer of --model={self.config.model} has no bias, which "
                "--head=sklearn_svm needs; choose --head=svm"
            )
        name, factor = last["name"], np.float32(last["factor"])
        self._start_writing(directory, 1)
        self.load_head(
            {
                f"{name}/kernel": weights / factor,
                f"{name}/bias": bias / factor,
                "global_step": np.array(1),
            }
        )
        directory.checkpoints.save(self.saver, self.session, 1)

    def _start_writing(self, directory: RunDirectory, total_steps: int) -> None:
        directory.begin(directory.latest_step(), total_steps, self._facts(directory.path))

    def _initialize_variables(self, session: Any) -> dict[Any, Any]:
        loaded = super()._initialize_variables(session)
        with building_in(self.graph):
            self._loaded = {
                variable.op.name
                for variable in self.train_graph.variables
                if variable.initial_value in loaded
            }
        return loaded

    def _skipped(self, pattern: str) -> str:
        """Return init_skip, which always leaves out the head: it is trained from its start."""
        given = self.config.init_skip
        return pattern if given in (None, pattern) else f"(?:{given})|(?:{pattern})"

    def _find_parting(self) -> Parting:
        graph = tf.Graph()
        with building_in(graph):
            parts = Parts.of(self.config, self._own_code.functions_of(self.config))
            live = replace(self.config, eval_weights="live")
            inference = build_inference_graph(live, self.data.spec, parts)
            head = inference.head
            if head is None:
                raise UsageError(
                    f"--model={self.config.model} has no head for bottleneck: it does not end in a "
                    "plain dense layer, without activation and regularizer, whose outputs are the "
                    "logits; end a model of your own with layers.dense or cnnlab.add_head"
                )
            of_base = {op.name for op in needed_by(head.features.op)}
            network = {v.op.name: v.handle.op.name for v in network_variables()}
        base = tuple(name for name, op in network.items() if op in of_base)
        if not base:
            raise UsageError(
                f"--model={self.config.model} has no weights before its head, so there are no "
                "features to compute; train it with cnnlab train"
            )
        return Parting(head, base, tuple(name for name in network if name not in base))


def logits_of(train: Train, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the logits of images, with the weights of a run's session."""
    inference = train.train_graph.inference
    found: npt.NDArray[np.float32]
    found = train.session.run(inference.logits, {inference.images_ph: images})
    return found
