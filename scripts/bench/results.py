"""Where measured results are: results/DATE-MACHINE-ISA/WORKLOAD.json.

Each file is one JSON object. The keys machine, versions, commit (absent from the oldest files),
date, isa, leagues, rounds, secs, warmup_secs, missing and matmul_gflops say how the workload was
measured. The keys workload, losses (as benchmark.compare_losses returns them) and contestants (name
to summary and rounds) hold the results.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

# Words of a CPU's name that tell no machine from another.
_NOISE: Final = r"\b(amd|intel|genuine|arm|cpu|processor|\d+-core)\b|\(r\)|\(tm\)|@.*$"


def machine_slug(cpu: str) -> str:
    """Return a short name of a CPU, as in "epyc-25-17" for "AMD EPYC, family 25, model 17"."""
    name, *numbers = cpu.lower().split(", ")
    words = re.findall(r"[a-z0-9]+", re.sub(_NOISE, " ", name))
    return "-".join([*words, *(number.split()[-1] for number in numbers)]) or "unknown"


def folder_name(results: dict[str, Any]) -> str:
    """Return DATE-MACHINE-ISA of one workload's results."""
    return f"{results['date']}-{machine_slug(results['machine']['cpu'])}-{results['isa']}"


def write(results: dict[str, Any], out: Path) -> Path:
    """Write one workload's results below `out`; return the file's path."""
    path = out / folder_name(results) / f"{results['workload']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return path


def read_newest(out: Path) -> list[dict[str, Any]]:
    """Return the newest results of each workload, machine and instruction set below `out`."""
    newest: dict[tuple[str, str, str], dict[str, Any]] = {}
    for path in sorted(out.glob("????-??-??-*/*.json")):  # by date, so that a newer file replaces
        results = json.loads(path.read_text(encoding="utf-8"))
        key = results["workload"], results["machine"]["cpu"], results["isa"]
        newest[key] = results
    return list(newest.values())
