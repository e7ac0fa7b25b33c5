"""The options of `cnnlab bottleneck`: those of a run, and those of its head."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.config import options as opts
from cnnlab.config.augmentations import SCALINGS
from cnnlab.config.config import Config
from cnnlab.config.input_options import is_pictures
from cnnlab.config.keras_networks import with_their_scaling
from cnnlab.config.loss_options import with_loss_of_class_mode
from cnnlab.config.options import STRICT, option
from cnnlab.config.resolve import with_recipe
from cnnlab.data.folders.picture_set import targets_by_name
from cnnlab.data.target_options import fitted_to_targets
from cnnlab.models import ModelFunction
from cnnlab.models.head import has_own_head
from cnnlab.run.disk.config_file import CONFIG_FILE, load_config, load_run_data
from cnnlab.run.own_code import find_any_model

Head = Literal["dense", "svm", "sklearn_svm", "random_forest"]
BY_SKLEARN: Final = ("sklearn_svm", "random_forest")
_MACHINES: Final = ("svm", "sklearn_svm")
DEFAULT_EPOCHS: Final = 50.0
# Arguments of a model that make its head.
OF_HEAD: Final = ("dense_units", "dropout")
_HEADS: Final[dict[str, dict[str, Any]]] = {
    "dense": {"dense_units": [1024], "dropout": 0.3},
    "svm": {"dense_units": [], "dropout": 0.0},
    "sklearn_svm": {"dense_units": [], "dropout": 0.0},
    "random_forest": {"dense_units": [], "dropout": 0.0},
}


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class BottleneckOptions(Config):
    """Options of `python -m cnnlab.bottleneck`: those of a run, and those of its head."""

    head: Head = option(
        "dense",
        "what is trained on the features\n"
        "dense: hidden layers and logits, as model_options says; by default one of 1024 with a "
        "dropout of 0.3. Models that do not choose hidden layers get their last layer only\n"
        "svm: a linear support vector machine, trained by the hinge loss\n"
        "sklearn_svm: the same, by scikit-learn's LinearSVC on standardized features\n"
        "random_forest: scikit-learn's; its figures are stored, but it cannot be joined to a base",
        group="head",
        everyday=True,
    )
    svm_c: float = option(
        1.0,
        "for sklearn_svm: C, the weight of the errors against the size of the weights",
        group="head",
        gt=0,
        allow_inf_nan=False,
    )
    trees: int = option(
        500, "for random_forest: the number of trees", unit="trees", group="head", ge=1, le=100_000
    )
    features_dir: str | None = option(
        None,
        "folder of the stored features; they are used again if pictures, weights and preparation "
        "are the same",
        default_text="the folder features in data_dir",
        group="head",
        everyday=True,
        is_path=True,
        shapes_result=False,
        min_length=1,
    )
    compare_steps: int = option(
        0,
        "at the end, also measure this many steps of training through the frozen base, and say how "
        "much slower they are",
        unit="steps",
        group="head",
        shapes_result=False,
        ge=0,
        le=10_000,
    )
    batch_size: int = option(
        32, "images per step", unit="images", group="training", everyday=True, ge=1
    )
    epochs: float | None = option(
        None,
        "length of the run in passes over the training set, instead of in steps",
        default_text=f"{DEFAULT_EPOCHS:g}, unless steps is given",
        unit="epochs",
        group="training",
        everyday=True,
        shapes_result=False,
        gt=0,
        le=10**9,
    )

    def run_options(self) -> dict[str, Any]:
        """Return the options of the joined run, but for those that it computes itself."""
        given = opts.as_dict(self)
        run = {name: value for name, value in given.items() if name in opts.fields_of(Config)}
        computed = [name for name in ("init_step", "schedule_steps") if run[name] is None]
        return {name: value for name, value in run.items() if name not in (*computed, "config")}

    @property
    def settings(self) -> dict[str, Any]:
        """What decides about the head, beside the options of the joined run."""
        own: dict[str, dict[str, Any]] = {
            "sklearn_svm": {"svm_c": self.svm_c},
            "random_forest": {"trees": self.trees},
        }
        return {"head": self.head, **own.get(self.head, {})}

    @property
    def features_folder(self) -> Path:
        """The folder of the stored features."""
        return Path(self.features_dir or Path(self.data_dir) / "features")


def resolve_options(
    given: Mapping[str, Any], model: ModelFunction | None = None
) -> BottleneckOptions:
    """Make the options from a recipe, the run that init_from names, and the given ones.

    Args:
        given: option name to value.
        model: the model, if the caller passes it as a function.

    Raises:
        UsageError: an option is wrong or missing.
    """
    merged = with_recipe(given, BottleneckOptions)
    source = _of_source(merged, model)
    merged = {**source, **merged}
    if "scaling" in source and "scaling" not in given:  # a recipe's is for its own weights
        merged["scaling"] = source["scaling"]
    head = str(merged.get("head", "dense"))
    _check_head(head, given)
    if head != "dense":
        # Those of a recipe are for its own head.
        merged["class_mode"] = given.get("class_mode")
        merged["loss"] = given.get("loss", "hinge" if head in _MACHINES else "softmax")
    if merged.get("steps") is None and merged.get("epochs") is None:
        merged["epochs"] = DEFAULT_EPOCHS
    if head in BY_SKLEARN:
        merged.update(steps=1, epochs=None, batch_size=1)
    if head == "svm":
        merged.setdefault("l2", 1e-4)
    options = opts.build(BottleneckOptions, with_their_scaling(with_loss_of_class_mode(merged)))
    options = fitted_to_targets(options, targets_by_name(options), merged)
    if options.init_from is None:
        raise UsageError(
            "bottleneck needs the weights of the base: --init_from=imagenet, FILE or RUN"
        )
    _check_fixed_features(options)
    if options.head in BY_SKLEARN and options.sampling != "shuffle":
        raise UsageError(
            f"--sampling={options.sampling} has no meaning with --head={options.head}, which "
            "scikit-learn trains on all images at once; use --class_weights=balanced"
        )
    if not has_own_head(model or find_any_model(options.model)):
        return options
    return opts.replace(options, model_options=_with_head(options))


def _with_head(options: BottleneckOptions) -> dict[str, Any]:
    """Return the model's options, with those of the head where the user gives none."""
    given, head = options.model_options, _HEADS[options.head]
    if options.head != "dense" and (wrong := [name for name in OF_HEAD if given.get(name)]):
        # A recipe for the dense head may serve for the others too.
        given = {name: value for name, value in given.items() if name not in wrong}
    return {**head, **given}


def _of_source(merged: Mapping[str, Any], model: ModelFunction | None) -> dict[str, Any]:
    """Return what the run that init_from names decides, unless the user does.

    These are the model and its options but for the head, and how pixels become its input.
    """
    source = merged.get("init_from")
    if not isinstance(source, str):
        return {}
    folder = Path(source).expanduser()
    folder = folder.parent if folder.name == "best" else folder
    if not (folder / CONFIG_FILE).is_file():
        return {}
    run = load_config(folder)
    found: dict[str, Any] = {}
    if merged.get("model", run.model) == run.model:
        kept = dict(run.model_options)
        if has_own_head(model or find_any_model(run.model)):
            kept = {name: value for name, value in kept.items() if name not in OF_HEAD}
        found.update(model=run.model, model_options=kept)
    entry = run.augment[-1] if run.augment and isinstance(run.augment[-1], str) else ""
    found["scaling"] = entry if entry in SCALINGS else run.scaling
    if is_pictures(str(merged.get("dataset", ""))):
        found["image_size"] = list(load_run_data(run).spec.image_shape[:2])
        found.update(resize=run.resize, interpolation=run.interpolation)
    return found


def _check_head(head: str, given: Mapping[str, Any]) -> None:
    """Refuse options that do not fit the head."""
    loss = given.get("loss", "hinge")
    if head in _MACHINES and loss not in ("hinge", "squared_hinge"):
        raise UsageError(
            f"--loss={loss} does not fit --head={head}, which has the loss hinge or squared_hinge; "
            "leave --loss out, or use --head=dense"
        )
    if head not in BY_SKLEARN:
        return
    for name in ("steps", "epochs"):
        if given.get(name) is not None:
            raise UsageError(
                f"--{name} has no meaning with --head={head}, which scikit-learn trains at once"
            )
    if given.get("class_mode") == "binary":
        raise UsageError(f"--class_mode=binary does not fit --head={head}; leave it out")


def _check_fixed_features(options: BottleneckOptions) -> None:
    """Refuse what would give an image other features in each epoch."""
    varying = [entry for entry in options.augment if entry not in SCALINGS]
    if varying:
        raise UsageError(
            "--augment changes the images in each epoch, but bottleneck computes their features "
            "once; leave it out, or fine-tune with cnnlab train --init_from=RUN --augment=..."
        )
