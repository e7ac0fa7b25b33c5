"""Transfer learning on stored features: a function, and the command `python -m cnnlab.bottleneck`.

The base, the layers of a trained network before its head, computes the features of every image
once. A head is trained on them: the layers of `cnnlab.add_head`, or else the last dense layer.
Then base and head are joined to one run directory. This is what training the head through the
frozen base gives, up to rounding, but the base computes once and not in every epoch. Dropout in the
base is off.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import free_name
from cnnlab.base.printing import notes_silenced, print_lines
from cnnlab.bottleneck import sklearn_heads
from cnnlab.bottleneck.features import Stored
from cnnlab.bottleneck.head_run import as_images, make_head_run
from cnnlab.bottleneck.joined_run import JoinedRun, logits_of
from cnnlab.bottleneck.measuring import compared, figures_of_outputs
from cnnlab.bottleneck.options import BY_SKLEARN, BottleneckOptions, resolve_options
from cnnlab.data.arrays import Pairs
from cnnlab.data.datasets import Dataset, Split
from cnnlab.models import ModelFunction
from cnnlab.run.disk.lock import locked
from cnnlab.run.disk.result_file import write_result
from cnnlab.run.disk.run_directory import RunDirectory

HEAD_DIR: Final = "head"  # the run of the head, inside save_dir
_CHECKED_IMAGES: Final = 8
_TOLERANCE: Final = 1e-3


def bottleneck(
    save_dir: str | Path = "./save",
    *,
    model: str | ModelFunction | None = None,
    data: Dataset | Pairs | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Train a head on the features that a trained network computes, and join both to one run.

        bottleneck("save/pets", model="mobilenet_v2", init_from="imagenet", dataset="folder:pets",
                   image_size=[160, 160])

    Args:
        save_dir: the run directory.
        model: the network: a name, or your own function. It ends with `cnnlab.add_head`, or with a
            dense layer, which is then the head.
        data: arrays, as for `Train`; default: what the option dataset names.
        **options: the other options of the command; see its `--help`.

    Returns:
        the content of result.json, as of `Train.train`. Its key bottleneck has

        - head, and features: the number of features of an image
        - files: split to the file of its features, and stored_before: those that were not computed
        - features_secs: the time to compute the others; head_secs: the time to train the head
        - with compare_steps: base_step_secs, head_step_secs and times_faster
        - of scikit-learn's heads: per_class and confusion_matrix, rows: truth

    Raises:
        UsageError: an option is wrong, or save_dir holds another run.
        DataError: the data is missing, damaged or has one class only.
        CnnlabError: the weights are of another network, scikit-learn is not installed, or the disk
            fails.
    """
    named = {"model": model} if isinstance(model, str) else {}
    given = {**options, **named, "save_dir": str(save_dir)}
    own = model if callable(model) else None
    checked = resolve_options(given, own)
    with notes_silenced(checked.quiet):
        return run_bottleneck(checked, own, data)


def run_bottleneck(
    options: BottleneckOptions,
    model: ModelFunction | None = None,
    data: Dataset | Pairs | None = None,
) -> dict[str, Any]:
    """Compute the features, train the head, and join it to the base; see `bottleneck`."""
    if options.head in BY_SKLEARN:
        sklearn_heads.check_installed(options.head)
    given = options.run_options()
    given["model"] = model or given["model"]
    with JoinedRun(data=data, **given) as joined:
        _check_data(options, joined)
        joined.part()
        total_steps = joined.begin()
        directory = RunDirectory(joined.config)
        _check_settings(options, directory)
        if (
            options.head not in BY_SKLEARN
            and (result := directory.finished_result(total_steps)) is not None
        ):
            joined.say(f"{directory.path} is finished; --overwrite starts again")
            return result
        with locked(directory.path):
            return _Work(options, joined, directory).run(total_steps)


def _check_data(options: BottleneckOptions, joined: JoinedRun) -> None:
    spec = joined.data.spec
    if spec.targets != "classes" and options.head != "dense":
        raise UsageError(f"--head={options.head} needs one class an image; use --head=dense")


def _check_settings(options: BottleneckOptions, directory: RunDirectory) -> None:
    """Refuse a folder with a head that has other settings."""
    there = (directory.result() or {}).get("bottleneck")
    here = options.settings
    if not isinstance(there, dict):
        return
    if differing := [name for name, value in here.items() if there.get(name) != value]:
        name = differing[0]
        raise UsageError(
            f"{directory.path} holds another run: {name} ({there.get(name)} there, {here[name]} "
            f"here); start a new one with --save_dir={free_name(options.save_dir)}"
        )


class _Work:
    """The work of one command."""

    def __init__(
        self, options: BottleneckOptions, joined: JoinedRun, directory: RunDirectory
    ) -> None:
        self._options, self._joined, self._directory = options, joined, directory
        self._start = time.perf_counter()

    def run(self, total_steps: int) -> dict[str, Any]:
        """Make the run directory; return the content of result.json."""
        joined, options = self._joined, self._options
        splits = self._splits()
        sklearn_heads.check_classes(splits["train"], joined.data.spec)
        base = joined.base()
        folder = options.features_folder
        stored = {name: base.stored(folder, name, split.images) for name, split in splits.items()}
        self._say(stored)
        few = splits["test"].images[:_CHECKED_IMAGES]
        splits = {  # the images are not needed any more, and may be large
            name: Split(as_images(stored[name].values), split.labels, split.weights)
            for name, split in splits.items()
        }
        facts = self._facts(stored)
        if options.head in BY_SKLEARN:
            return self._by_sklearn(splits, facts, few)
        return self._by_steps(splits, facts, few, total_steps)

    def _splits(self) -> dict[str, Split]:
        """Return the images of all splits; no validation set if the test set serves as one."""
        data = self._joined.data
        splits = {name: data.split(name) for name in ("train", "validation", "test")}
        if splits["validation"].images is splits["test"].images:
            del splits["validation"]
        return splits

    def _by_steps(
        self,
        splits: dict[str, Split],
        facts: dict[str, Any],
        few: npt.NDArray[Any],
        total_steps: int,
    ) -> dict[str, Any]:
        """Train the head by a run of its own, in HEAD_DIR."""
        joined = self._joined
        folder = self._directory.path / HEAD_DIR
        spec, start = joined.data.spec, joined.head_start()
        with make_head_run(joined.config, joined.parting, spec, splits, folder, start) as head:
            result = head.train()
            facts["head_secs"] = result["seconds"]
            if not result["finished"]:
                return {**result, "bottleneck": facts, "signal": head.control.stop_signal}
            joined.join(self._directory, folder, total_steps)
            self._check(few, logits_of(head, splits["test"].images[: len(few)]))
            return self._finish(result, facts, head)

    def _by_sklearn(
        self, splits: dict[str, Split], facts: dict[str, Any], few: npt.NDArray[Any]
    ) -> dict[str, Any]:
        joined, options = self._joined, self._options
        spec, start = joined.data.spec, time.perf_counter()
        train, test = splits["train"], splits["test"]
        features, asked = train.images[:, 0, :, 0], test.images[:, 0, :, 0]
        weights = sklearn_heads.example_weights(options.class_weights, train, spec.class_names)
        if options.head == "sklearn_svm":
            linear = sklearn_heads.train_svm(
                features,
                train.labels,
                spec.num_classes,
                c=options.svm_c,
                seed=options.seed,
                weights=weights,
            )
            facts["head_secs"] = round(time.perf_counter() - start, 3)
            joined.write_linear(self._directory, linear.weights, linear.bias)
            outputs = linear.outputs(asked)
            self._check(few, outputs[: len(few)])
        else:
            outputs = sklearn_heads.forest_outputs(
                features,
                train.labels,
                asked,
                trees=options.trees,
                seed=options.seed,
                weights=weights,
            )
            facts["head_secs"] = round(time.perf_counter() - start, 3)
        figures, details = figures_of_outputs(joined, outputs, test.labels)
        result = {"step": 1, "finished": True, "best": None, **figures, "split": "test"}
        return self._finish(result, {**facts, **details}, None)

    def _finish(self, result: dict[str, Any], facts: dict[str, Any], head: Any) -> dict[str, Any]:
        """Write result.json, and then what a measurement adds to it."""
        seconds = round(time.perf_counter() - self._start, 3)
        result = {**result, "seconds": seconds, "bottleneck": facts}
        write_result(self._directory.path, result)
        if self._options.compare_steps and head is not None:
            facts.update(compared(self._joined, head, self._options.compare_steps))
            write_result(self._directory.path, result)
        return result

    def _check(self, images: npt.NDArray[Any], expected: npt.NDArray[np.float32]) -> None:
        """Compare the joined network's logits for some images with those of the head.

        Raises:
            CnnlabError: they differ by more than rounding.
        """
        found = logits_of(self._joined, images)
        largest = max(1.0, float(np.abs(expected).max()))
        difference = float(np.abs(found - expected).max()) / largest
        if not difference <= _TOLERANCE:
            raise CnnlabError(
                f"the joined network differs from the head by {difference:.2g}; please report this"
            )

    def _facts(self, stored: Mapping[str, Stored]) -> dict[str, Any]:
        return {
            **self._options.settings,
            "features": int(stored["train"].values.shape[1]),
            "files": {name: str(one.path) for name, one in stored.items()},
            "stored_before": [name for name, one in stored.items() if one.secs is None],
            "features_secs": round(sum(one.secs or 0.0 for one in stored.values()), 3),
        }

    def _say(self, stored: Mapping[str, Stored]) -> None:
        for name, one in stored.items():
            n, size = one.values.shape
            how = "were stored already" if one.secs is None else f"computed in {one.secs:.1f} s"
            print_lines(f"{n} x {size} features of {name} {how}: {one.path}", to_stderr=True)
