"""The sections of a report: what is shown of one run, and of several beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnnlab.config.options import as_dict, fields_of
from cnnlab.report import html
from cnnlab.report.facts import RunFacts
from cnnlab.report.figures import MOST_WITH_COUNTS, Curve, draw_confusion, draw_curves
from cnnlab.report.gallery import top_confusions
from cnnlab.report.image_sections import Pictures, activations, filters, gallery, saliency, size
from cnnlab.run.disk.config_file import OF_ONE_PROCESS

# What metrics.jsonl calls it: what the plot calls it, and the splits for which it means something.
QUANTITIES = {
    "loss": ("loss", ("train", "val")),
    "accuracy": ("accuracy", ("train", "val")),
    "learning_rate": ("learning rate", ("train",)),
    "images_per_sec": ("images per second in training", ("train",)),
}
PICTURES = (
    *QUANTITIES,
    *("confusion", "mistakes", "least_sure", "filters", "activations", "saliency"),
)
MAX_CONFUSIONS = 10
# Two runs always differ in these, and it tells nothing.
UNTOLD = (*OF_ONE_PROCESS, "save_dir", "log_dir")


def run_section(facts: RunFacts, pictures: Pictures) -> str:
    """Everything about one run, as HTML; its pictures are added to `pictures` by name."""
    figures = facts.figures
    parameters = sum(layer.parameters for layer in facts.layers)
    flops = total_flops(facts)
    state = "finished" if facts.is_finished else "not finished"
    made = max([facts.step, *(line["step"] for line in facts.metrics)])
    parts = [
        html.paragraph(
            f"{facts.config.model} on {facts.spec.name}, {state}: {made:,} of "
            f"{facts.total_steps:,} steps made. Figures below are of the checkpoint of step "
            f"{facts.step:,}, on all {figures['n']:,} images of the {facts.split} split."
        ),
        html.key_figures(
            [
                ("accuracy", figures["accuracy"]),
                ("loss", figures["loss"]),
                ("top-5 accuracy", figures["top5_accuracy"]),
                ("images", figures["n"]),
                ("step", facts.step),
                ("parameters", parameters),
                ("MFLOPs an image", None if flops is None else flops / 1e6),
            ]
        ),
        _heading("Curves"),
        curves_of([facts], pictures),
        _heading("Confusion"),
        _confusion(facts, pictures),
        _heading("Classes"),
        _classes(facts),
        _heading("Worst mistakes"),
        gallery(facts, facts.mistakes, "mistakes", pictures, "No image was taken for another."),
        _heading("Least sure"),
        gallery(facts, facts.unsure, "least_sure", pictures, ""),
        _heading("First layer"),
        filters(facts, pictures),
        _heading("Saliency"),
        saliency(facts, pictures),
        _heading("Activations"),
        activations(facts, pictures),
        _heading("Model"),
        _model(facts),
        _heading("Configuration"),
        _configuration(facts),
    ]
    return "\n".join(parts)


def curves_of(runs: Sequence[RunFacts], pictures: Pictures) -> str:
    """One plot for each quantity that was logged, of all the runs."""
    found = []
    for quantity, (title, splits) in QUANTITIES.items():
        curves: list[Curve] = []
        for number, facts in enumerate(runs):
            for split in splits:
                word = {"train": "training", "val": "validation"}[split]
                lines = [
                    line for line in facts.metrics if line["split"] == split and quantity in line
                ]
                if lines:
                    label = f"{number + 1}. {facts.save_dir.name}, {word}"
                    curves.append(
                        Curve(
                            label if len(runs) > 1 else word,
                            [line["step"] for line in lines],
                            [line[quantity] for line in lines],
                            number if len(runs) > 1 else len(curves),
                            split == "val",
                        )
                    )
        if curves:
            pictures[quantity] = draw_curves(curves, title, from_zero=splits == ("train",))
            names = ", ".join(curve.label for curve in curves)
            found.append((pictures[quantity], f"{title} by step: {names}"))
    return html.plots(found) if found else html.paragraph("No measurement was written down yet.")


def comparison(runs: Sequence[RunFacts], pictures: Pictures) -> str:
    """Several runs beside each other: curves, figures, and the options that differ."""
    names = [f"{number}. {facts.save_dir}" for number, facts in enumerate(runs, 1)]
    figures = [
        (
            name,
            facts.figures["accuracy"],
            facts.figures["loss"],
            facts.figures["top5_accuracy"],
            facts.figures["n"],
            facts.step,
            sum(layer.parameters for layer in facts.layers),
            total_flops(facts),
        )
        for name, facts in zip(names, runs, strict=True)
    ]
    headings = ("run", "accuracy", "loss", "top-5", "images", "step", "parameters", "FLOPs")
    options = [as_dict(facts.config) for facts in runs]
    differing = [
        name
        for name in options[0]
        if name not in UNTOLD and any(other[name] != options[0][name] for other in options)
    ]
    rows = [(name, *(str(values[name]) for values in options)) for name in differing]
    table = html.table(("option", *names), rows, "Options that differ") if rows else ""
    return "\n".join(
        [
            "<h2>Side by side</h2>",
            html.table(headings, figures, f"Figures on the {runs[0].split} split"),
            curves_of(runs, pictures),
            table or html.paragraph("The runs have the same options."),
        ]
    )


def total_flops(facts: RunFacts) -> int | None:
    """FLOPs of the whole network for one image; None where a layer's are not known."""
    flops = [layer.flops for layer in facts.layers]
    return None if None in flops else sum(value for value in flops if value is not None)


def _heading(text: str) -> str:
    return f"<h3>{html.escaped(text)}</h3>"


def _confusion(facts: RunFacts, pictures: Pictures) -> str:
    names = facts.spec.class_names
    pictures["confusion"] = draw_confusion(facts.confusion, names)
    pairs = top_confusions(facts.confusion, MAX_CONFUSIONS)
    of_class = facts.confusion.sum(axis=1)
    rows = [(names[t], names[p], n, float(n / of_class[t])) for t, p, n in pairs]
    alt = f"Confusion matrix of {len(names)} classes, true classes down, predicted ones across"
    width = 680 if len(names) <= MOST_WITH_COUNTS else 12 * len(names) + 180
    parts = [html.matrix(pictures["confusion"], alt, width)]
    if rows:
        headings = ("true class", "taken for", "images", "share")
        parts.append(
            html.table(headings, rows, "The most frequent mistakes; share of the true class")
        )
    return html.sides(*parts)


def _classes(facts: RunFacts) -> str:
    support = facts.confusion.sum(axis=1)
    rows = [
        (
            row["name"],
            int(images),
            *(row[figure] for figure in ("precision", "recall", "f1", "fpr", "fnr")),
        )
        for images, row in zip(support, facts.per_class, strict=True)
    ]
    headings = ("class", "images", "precision", "recall", "F1", "false positives", "missed")
    caption = (
        "Each class against all others; false positives are a share of the other classes' images, "
        "missed ones of its own"
    )
    body = html.table(headings, rows, caption)
    if len(rows) <= MOST_WITH_COUNTS:
        return body
    return f"<details><summary>{len(rows)} classes</summary>{body}</details>"


def _model(facts: RunFacts) -> str:
    rows = [
        (
            layer.name,
            ", ".join(layer.operations),
            size(layer.output_shape),
            layer.parameters,
            layer.flops,
        )
        for layer in facts.layers
    ]
    fixed = sum(layer.fixed_parameters for layer in facts.layers)
    parameters = sum(layer.parameters for layer in facts.layers)
    also = f"; {fixed:,} more are not trained (moving averages)" if fixed else ""
    headings = ("layer", "operations", "output", "parameters", "FLOPs")
    totals = ("in all", "", "", parameters, total_flops(facts))
    caption = (
        "For one image. A multiplication and its addition are 2 FLOPs; those of convolutions and "
        f"matrix products are counted, nothing else{also}"
    )
    return html.table(headings, rows, caption, totals=totals)


def _configuration(facts: RunFacts) -> str:
    values: Mapping[str, Any] = as_dict(facts.config)
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in fields_of(type(facts.config)).items()
    }
    names = [name for name in values if name not in OF_ONE_PROCESS]
    rows = [(name, str(values[name]), str(defaults[name])) for name in names]
    changed = [row for row in rows if row[1] != row[2]]
    headings = ("option", "value", "default")
    versions = [(str(name), str(version)) for name, version in facts.versions.items()]
    return "\n".join(
        [
            html.table(headings, changed, "Options that are not at their default"),
            f"<details><summary>All {len(rows)} options</summary>"
            f"{html.table(headings, rows, 'All options')}</details>",
            html.table(("package", "version"), versions, "Trained with"),
        ]
    )
