"""The section of docs/results.md on transfer learning, from results/transfer.json."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from scripts.bench.markdown import filled
from scripts.bench.report import machine_lines

# Student's t for a two-sided 95% interval, by degrees of freedom.
T_95: Final = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306}


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and half the length of its 95% interval, by Student's t."""
    half = T_95[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values), half


def verdict(accuracies: Mapping[str, Sequence[float]]) -> str:
    """Return sentences: the best method, and how much better it is than each other one.

    Args:
        accuracies: method to the accuracy for each seed. All methods get the same pictures in a
            seed, so the differences are taken seed by seed.
    """
    best = max(accuracies, key=lambda method: statistics.fmean(accuracies[method]))
    parts = []
    for method, values in accuracies.items():
        if method != best:
            pairs = zip(accuracies[best], values, strict=True)
            mean, half = interval([a - b for a, b in pairs])
            parts.append(f"{method} by {100 * mean:.1f} ± {100 * half:.1f}")
    return (
        f"The best is {best}. With the same pictures it exceeds, in percentage points, "
        f"{'; '.join(parts)}."
    )


def transfer_section(results: Mapping[str, Any]) -> list[str]:
    """Return the section of docs/results.md.

    Args:
        results: the content of transfer.json.
    """
    source, methods = results["pretraining"], results["methods"]
    chosen = next(iter(methods.values()))
    lines = [
        "## Transfer learning",
        "",
        *filled(
            f"Cats and dogs of CIFAR-10, learned from {results['shown']} JPEG pictures of each. "
            f"`{source['options']['model']}` was first trained on the other eight classes: "
            f"{source['accuracy']:.2%} of their {source['n']:,} test images after "
            f"{source['step']:,} steps. Test accuracy on all {chosen['images']:,} test images of "
            f"cats and dogs, after the last step: the mean over {len(results['seeds'])} seeds with "
            "its 95% interval (Student's t), and for each seed. Each seed has other pictures, the "
            "same for all methods. The settings were fixed before the first run, and nothing was "
            "chosen by the test images."
        ),
        "",
        "    python scripts/transfer_study.py",
        "",
        "| method | accuracy | seeds | seconds |",
        "|---|---|---|---|",
    ]
    for method, found in methods.items():
        mean, half = interval(found["accuracies"])
        each = ", ".join(f"{value:.1%}" for value in found["accuracies"])
        seconds = statistics.fmean(found["seconds"])
        lines.append(f"| {method} | {mean:.1%} ± {100 * half:.1f} | {each} | {seconds:,.0f} |")
    lines += [
        "",
        *filled(verdict({method: found["accuracies"] for method, found in methods.items()})),
        "",
        *filled(
            "A coin gives 50%. The seconds are means over the seeds, with the evaluation, on a "
            "machine that did other work too. Those of the heads are without the features. The "
            "head of the bottleneck is a dense layer of 1,024 with relu, a dropout of 0.3 and the "
            "logits. The SVM is scikit-learn's LinearSVC on standardized features, and its options "
            "are those of LinearSVC. The methods, with their own options:"
        ),
        "",
    ]
    for method, found in methods.items():
        lines += filled(f"{method}: {_words(found['options'])}", "- ", "  ")
    lines += [
        "",
        *filled(f"From scratch and fine-tuning also have {_words(results['of_pair'])}."),
        "",
        *machine_lines(dict(results)),
    ]
    return lines


def _words(options: Mapping[str, Any]) -> str:
    return " ".join(f"`--{name}={_flow(value)}`" for name, value in options.items())


def _flow(value: Any) -> str:
    """Return a value as on the command line."""
    text = "none" if value is None else json.dumps(value).replace('"', "")
    return text if isinstance(value, list | dict) else text.strip('"')
