"""What a report shows of one run, and of several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.config.options import as_dict, fields_of
from cnnlab.config.recipes import OF_ONE_PROCESS
from cnnlab.data.specs import Head
from cnnlab.report.facts import RunFacts
from cnnlab.report.figures import Curve, css_width, draw_confusion, draw_curves
from cnnlab.report.image_sections import (
    Pictures,
    filters,
    gallery,
    size_text,
    slices,
    studied_tiles,
)
from cnnlab.report.page import Comparison, HeadPage, Picture, RunPage, Table
from cnnlab.report.studied import meaning_of_maps
from cnnlab.run.metrics.mistakes import most_confused
from cnnlab.run.metrics.per_class import per_class_figures

# The name in metrics.jsonl: the name in the plot, and the splits that have the quantity.
QUANTITIES = {
    "loss": ("loss", ("train", "val")),
    "accuracy": ("accuracy", ("train", "val")),
    "exact_match": ("exact match", ("val",)),
    "mae": ("mean absolute error", ("val",)),
    "r2": ("R2", ("val",)),
    "learning_rate": ("learning rate", ("train",)),
    "images_per_sec": ("images per second in training", ("train",)),
}
# The name in the figures of a split: the heading.
FIGURES = {
    "accuracy": "accuracy",
    "exact_match": "exact match",
    "mse": "mse",
    "mae": "mae",
    "r2": "R2",
    "loss": "loss",
    "top5_accuracy": "top-5",
}
SPLIT_WORDS = {"train": "training", "val": "validation"}
# The names of all pictures, as regular expressions.
PICTURES = (
    *QUANTITIES,
    *(
        "confusion",
        "mistakes",
        "least_sure",
        "filters",
        "filters_by_depth",
        "activations",
        "saliency",
    ),
    r"(accuracy|loss|confusion)_head_\w+",
)
# Two runs always differ in these.
NOT_COMPARED = (*OF_ONE_PROCESS, "save_dir", "log_dir")


def run_page(facts: RunFacts, pictures: Pictures) -> RunPage:
    """Return all that the page shows of one run. Add its PNG files to `pictures` by name."""
    changed, options = _options(facts)
    subject, evidence = meaning_of_maps(facts.spec)
    return RunPage(
        save_dir=str(facts.save_dir),
        model=str(facts.config.model),
        dataset=facts.spec.name,
        split=facts.split,
        is_finished=facts.is_finished,
        steps_made=max([facts.step, *(line["step"] for line in facts.metrics)]),
        total_steps=facts.total_steps,
        step=facts.step,
        num_images=facts.figures["n"],
        figures=_figures(facts),
        targets=facts.spec.targets,
        parameters=total_parameters(facts),
        fixed_parameters=sum(layer.fixed_parameters for layer in facts.layers),
        flops=total_flops(facts),
        curves=curves_of([facts], pictures),
        confusion=None
        if facts.confusion is None
        else _confusion(facts.confusion, facts.spec.class_names, "confusion", pictures),
        most_confused=_most_confused(facts.confusion, facts.spec.class_names),
        classes=_classes(facts.spec.targets, facts.per_class),
        heads=[_head(facts, head, pictures) for head in facts.spec.heads],
        sampling=facts.config.sampling,
        balance=Table(("class", "training images", "drawn an epoch", "weight"), facts.balance),
        mistakes=gallery(facts, facts.mistakes, "mistakes", pictures),
        least_sure=gallery(facts, facts.least_sure, "least_sure", pictures),
        filters=filters(facts, pictures),
        slices=slices(facts, pictures),
        studied=studied_tiles(facts, pictures),
        subject=subject,
        evidence=evidence,
        cam_layer=facts.cam_layer,
        layers=_layers(facts),
        changed_options=changed,
        options=options,
        versions=Table(
            ("package", "version"),
            [(str(name), str(version)) for name, version in facts.versions.items()],
        ),
    )


def comparison(runs: Sequence[RunFacts], pictures: Pictures) -> Comparison:
    """Compare several runs: figures, curves, and the options that differ."""
    names = [f"{number}. {facts.save_dir}" for number, facts in enumerate(runs, 1)]
    shown = list(dict.fromkeys(word for facts in runs for word, _ in _figures(facts)))
    figures = [
        (
            name,
            *(dict(_figures(facts)).get(word) for word in shown),
            facts.figures["n"],
            facts.step,
            total_parameters(facts),
            total_flops(facts),
        )
        for name, facts in zip(names, runs, strict=True)
    ]
    headings = ("run", *shown, "images", "step", "parameters", "FLOPs")
    options = [as_dict(facts.config) for facts in runs]
    differing = [
        name
        for name in options[0]
        if name not in NOT_COMPARED and any(other[name] != options[0][name] for other in options)
    ]
    rows = [(name, *(str(values[name]) for values in options)) for name in differing]
    return Comparison(
        runs[0].split,
        Table(headings, figures),
        curves_of(runs, pictures),
        Table(("option", *names), rows),
    )


def curves_of(runs: Sequence[RunFacts], pictures: Pictures) -> list[Picture]:
    """Draw one plot for each logged quantity, with the curves of all runs."""
    plots = []
    heads = dict.fromkeys(head for facts in runs for head in facts.of_heads)
    quantities = {name: (name, *found) for name, found in QUANTITIES.items()}
    for figure in ("accuracy", "loss"):
        for head in heads:
            shown = (f"{figure} of {head}", ("val",))
            quantities[f"{head}_{figure}"] = (f"{figure}_head_{head}", *shown)
    for quantity, (name, title, splits) in quantities.items():
        curves = _curves(runs, quantity, splits)
        if curves:
            pictures[name] = draw_curves(curves, title, from_zero=splits == ("train",))
            names = ", ".join(curve.label for curve in curves)
            plots.append(Picture(pictures[name], f"{title} by step: {names}"))
    return plots


def _curves(runs: Sequence[RunFacts], quantity: str, splits: Sequence[str]) -> list[Curve]:
    """Return the logged values of a quantity, for each run and split that has any.

    The curves of one run have one colour. If there is only one run, each split has its own.
    """
    curves: list[Curve] = []
    for number, facts in enumerate(runs):
        for split in splits:
            lines = [line for line in facts.metrics if line["split"] == split and quantity in line]
            if lines:
                word = SPLIT_WORDS[split]
                curves.append(
                    Curve(
                        f"{number + 1}. {facts.save_dir.name}, {word}" if len(runs) > 1 else word,
                        [line["step"] for line in lines],
                        [line[quantity] for line in lines],
                        number if len(runs) > 1 else len(curves),
                        split == "val",
                    )
                )
    return curves


def total_parameters(facts: RunFacts) -> int:
    """Return the number of trained parameters."""
    return sum(layer.parameters for layer in facts.layers)


def total_flops(facts: RunFacts) -> int | None:
    """Return the FLOPs of the network for one image; None if those of a layer are unknown."""
    flops = [layer.flops for layer in facts.layers]
    return None if None in flops else sum(value for value in flops if value is not None)


def _figures(facts: RunFacts) -> list[tuple[str, float | None]]:
    """Return the figures of the whole split, by their headings."""
    shown = (*FIGURES, *facts.config.metrics)
    figures = facts.figures.items()
    of_heads = facts.figures.get("heads", {}).items()
    return [
        *((FIGURES.get(name, name), value) for name, value in figures if name in shown),
        *((f"{head}: accuracy", own["accuracy"]) for head, own in of_heads),
    ]


def _head(facts: RunFacts, head: Head, pictures: Pictures) -> HeadPage:
    sums, names = facts.of_heads[head.name], head.class_names
    figures = sums.result().items()
    return HeadPage(
        head.name,
        [(FIGURES[name], value) for name, value in figures if name in FIGURES],
        _confusion(sums.confusion, names, f"confusion_head_{head.name}", pictures),
        _most_confused(sums.confusion, names),
        _classes("classes", per_class_figures(sums.confusion, names)),
    )


def _confusion(
    found: npt.NDArray[np.int64], names: tuple[str, ...], picture: str, pictures: Pictures
) -> Picture:
    pictures[picture] = draw_confusion(found, names)
    alt = f"Confusion matrix of {len(names)} classes; rows: true class, columns: predicted class"
    return Picture(pictures[picture], alt, css_width(pictures[picture]))


def _most_confused(found: npt.NDArray[np.int64] | None, names: tuple[str, ...]) -> Table:
    pairs = [] if found is None else most_confused(found, names)
    rows = [(pair["truth"], pair["predicted"], pair["count"], pair["share"]) for pair in pairs]
    return Table(("true class", "taken for", "images", "share"), rows)


def _classes(targets: str, found: Sequence[Mapping[str, Any]]) -> Table:
    """Return the table of the classes, labels or values."""
    if targets == "values":
        names = ("name", "mse", "mae", "r2")
        rows = [tuple(row[name] for name in names) for row in found]
        return Table(("value", "mse", "mae", "R2"), rows)
    figures = ("name", "support", "precision", "recall", "f1", "fpr", "fnr")
    what = "class" if targets == "classes" else "label"
    headings = (what, "images", "precision", "recall", "F1", "false positives", "missed")
    return Table(headings, [tuple(row[name] for name in figures) for row in found])


def _layers(facts: RunFacts) -> Table:
    rows = [
        (
            layer.name,
            ", ".join(layer.operations),
            size_text(layer.output_shape),
            layer.parameters,
            layer.flops,
        )
        for layer in facts.layers
    ]
    headings = ("layer", "operations", "output", "parameters", "FLOPs")
    return Table(headings, rows, ("total", "", "", total_parameters(facts), total_flops(facts)))


def _options(facts: RunFacts) -> tuple[Table, Table]:
    """Return (options that are not at their default, all options)."""
    values: Mapping[str, Any] = as_dict(facts.config)
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in fields_of(type(facts.config)).items()
    }
    names = [name for name in values if name not in OF_ONE_PROCESS]
    rows = [(name, str(values[name]), str(defaults[name])) for name in names]
    headings = ("option", "value", "default")
    return Table(headings, [row for row in rows if row[1] != row[2]]), Table(headings, rows)
