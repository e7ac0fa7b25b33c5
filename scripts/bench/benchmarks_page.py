"""The page docs/benchmarks.md, made from the measured results."""

import itertools
import re
from collections.abc import Sequence
from typing import Any, Final

from scripts.bench.contestants import CONTESTANTS, INSTRUCTION_SETS
from scripts.bench.markdown import GENERATED, filled
from scripts.bench.report import machine_lines, overview, place, section, set_up
from scripts.bench.results import folder_name
from scripts.bench.workloads import EVALUATION_BATCH_SIZES

ISA_TEXTS: Final = {
    "native": "`native`: all that the CPU has",
    "avx2": "`avx2`: AVX2 only, set by the libraries' environment variables. oneDNN is off where "
    "TensorFlow chooses, as on CPUs without AVX-512. cnnlab turns it on itself.",
}


def benchmarks_page(
    measured: Sequence[dict[str, Any]], compiled: Sequence[dict[str, Any]] = ()
) -> str:
    """Return docs/benchmarks.md.

    Args:
        measured: results of workloads, as `scripts.bench.results` describes them.
        compiled: those of contestants that XLA or torch.compile compiles.
    """
    usual, large = EVALUATION_BATCH_SIZES
    lines = [
        GENERATED.format(source="results/"),
        "",
        "# Benchmarks",
        "",
        *filled(
            "cnnlab trains, evaluates and predicts against other ways to write the same program. "
            "All contestants train the same network on the same data with the same batch size and "
            "optimizer. Each runs in a separate process with all cores, in interleaved rounds (A B "
            "A B ...). First, all must compute the same losses from the same start. Evaluation "
            f"and prediction are of the whole test set, in batches of {usual} images. Contestants "
            f"that an expert set up use {large:,} images if that is faster, and cnnlab chooses its "
            "batch size."
        ),
        "",
        *filled(
            "Below each heading is the command that repeats the table. It needs "
            "`pip install '.[bench]'`, an idle machine, and the data files. With `--out=results` "
            "and `python scripts/pages.py` it brings this page up to date. Compare the spreads in "
            "brackets: on virtual machines the same program is slower in some processes."
        ),
        "",
        *filled(
            "The column after a speed says how many times as fast cnnlab is. The share of the "
            "matrix product compares a training step with the machine's fastest float32 matrix "
            "product. It counts the multiplications of plain convolutions, so it can exceed 100% "
            "for kernels that make fewer."
        ),
        "",
        "The instructions:",
        "",
        *(item for name in INSTRUCTION_SETS for item in filled(ISA_TEXTS[name], "- ", "  ")),
        "",
        "The contestants:",
        "",
        *(
            line
            for name, entry in CONTESTANTS.items()
            for line in filled(f"`{name}` ({set_up(name)}): {entry.about}", "- ", "  ")
        ),
        "",
        "## Summary",
        "",
        *filled(
            "A cell holds the images/s of cnnlab. Then follows how many times as fast that is as "
            "the fastest other contestant as installed, and as the fastest that an expert set up. "
            "Below 1, the other contestant is faster."
        ),
        "",
        overview(measured),
        *sections(measured),
    ]
    if compiled:
        lines += [
            "",
            "## Compiled contestants",
            "",
            *filled(
                "These contestants compile their steps with XLA or `torch.compile`. The cells are "
                "those of the summary."
            ),
            "",
            overview(compiled, "compiled"),
            *sections(compiled, "Compiled"),
        ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def sections(measured: Sequence[dict[str, Any]], kind: str = "") -> list[str]:
    """Return a heading for each folder of results, which `kind` begins, and its tables."""
    lines: list[str] = []
    for folder, found in itertools.groupby(sorted(measured, key=place), key=folder_name):
        members = list(found)
        lines += ["", " ".join(filter(None, ["##", kind, folder])), ""]
        lines += dict.fromkeys(line for results in members for line in machine_lines(results))
        for results in members:
            lines += ["", section(results)]
    return lines
