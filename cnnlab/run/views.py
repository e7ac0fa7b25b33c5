"""What can be looked at of a run, in a notebook or a script: layers, curves, options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnnlab.base.printing import print_as_is
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.config.options import as_dict
from cnnlab.config.terminal import render_table
from cnnlab.graph.inference_graph import build_inference_graph
from cnnlab.graph.model_summary import summarize
from cnnlab.graph.parts import Parts
from cnnlab.run.disk.config_file import resolve_for_run
from cnnlab.run.history import History
from cnnlab.run.session import SessionOwner

# Options that `repr` leaves out where they are not what a run is about.
_UNSAID = ("json", "quiet", "debug", "overwrite", "config")


class RunViews(SessionOwner):
    """A session owner that shows its tensors, its layers, its curves and its options."""

    @property
    def history(self) -> History:
        """The figures of the run in save_dir, as arrays: history.train["loss"] and the like.

        Raises:
            UsageError: save_dir holds a run with other options, other data or another model.
            CnnlabError: there are no figures yet.
        """
        if self._session is None:
            self._use_run_options()
        config = resolve_for_run(self._given)
        return History(Path(config.save_dir))

    @property
    def images_ph(self) -> Any:
        """uint8 [batch, height, width, channels]; see the class."""
        return self.train_graph.inference.images_ph

    @property
    def labels_ph(self) -> Any:
        """int64 [batch]; see the class."""
        return self.train_graph.inference.labels_ph

    @property
    def steps_ph(self) -> Any:
        """int32 scalar; see the class."""
        return self.train_graph.steps_ph

    @property
    def logits(self) -> Any:
        """float32 [batch, num_classes]; see the class."""
        return self.train_graph.inference.logits

    @property
    def loss(self) -> Any:
        """float32 scalar; see the class."""
        return self.train_graph.inference.loss

    @property
    def train_op(self) -> Any:
        """The training operation; see the class."""
        return self.train_graph.train_op

    def plot(self) -> Any:
        """Draw the curves of the run in save_dir; return a `matplotlib.figure.Figure`.

        Raises:
            UsageError: as for `history`.
            CnnlabError: there are no figures yet, or matplotlib is not installed.
        """
        return self.history.plot()

    def summary(self) -> None:
        """Print the layers: output shape for one image, trained and fixed numbers, FLOPs.

        No data file is needed, and nothing is trained. MFLOPs are those of one image in inference,
        two for each multiplication and addition; empty where a shape is known only at run time.
        """
        graph = tf.Graph()
        with building_in(graph):
            parts = Parts.of(self.config, self._own_code.functions_of(self.config))
            inference = build_inference_graph(self.config, self.data.spec, parts, as_written=True)
        layers = summarize(inference)
        rows = [
            [
                layer.name,
                ", ".join(layer.operations),
                " x ".join(map(str, layer.output_shape)),
                f"{layer.parameters:,}",
                f"{layer.fixed_parameters:,}",
                "" if layer.flops is None else f"{layer.flops / 1e6:,.3f}",
            ]
            for layer in layers
        ]
        headings = ("layer", "operations", "output", "trained", "fixed", "MFLOPs")
        trained, fixed = (
            sum(getattr(layer, name) for layer in layers)
            for name in ("parameters", "fixed_parameters")
        )
        flops = sum(layer.flops or 0 for layer in layers) / 1e6
        rows += [[], ["total", "", "", f"{trained:,}", f"{fixed:,}", f"{flops:,.3f}"]]
        print_as_is(render_table(headings, rows, left_columns=3))

    def __repr__(self) -> str:
        """Return model, data, the options that differ from the defaults, and the step."""
        defaults, options = as_dict(Config()), as_dict(self.config)
        if self.config.resolved_log_dir == Path(self.config.save_dir) / "logs":
            options["log_dir"] = None  # where it is by default
        said = {name: options[name] for name in ("model", "dataset")}
        said |= {
            name: value
            for name, value in options.items()
            if name not in (*said, *_UNSAID) and value != defaults[name]
        }
        arguments = ", ".join(f"{name}={value!r}" for name, value in said.items())
        step = "" if self._session is None else f" at step {self.step}"
        return f"<Train({arguments}){step}>"
