"""The recipes of the workers' guide: what they would start, with the programs replaced."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cnnlab.run.cluster.place import Place, place_of
from tests import commands

GUIDE = (commands.ROOT / "docs" / "guide" / "workers.md").read_text(encoding="utf-8")
# Each worker says its TF_CONFIG and its words; the test adds the programs that a cluster has.
FAKES = """
python() { echo "$TF_CONFIG"; }
export -f python
scontrol() { printf 'node%s\\n' 1 2 3 4; }
export -f scontrol
srun() { for p in 0 1 2 3; do SLURM_PROCID=$p "${@:2}"; done; }
ssh() { sh -c "${2#cd /shared && }"; }
"""


def block(section: str, language: str) -> str:
    text = GUIDE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found, section
    return found[1]


def started(script: str, **variables: str) -> list[Place]:
    """Return the places of the workers that a script starts."""
    script = script.replace("exec python", "python").replace(
        ".venv/bin/python", "echo $TF_CONFIG #"
    )
    environment = {**os.environ, **variables}
    out = subprocess.run(
        ["bash", "-c", FAKES + script], capture_output=True, text=True, check=True, env=environment
    ).stdout
    places = [place_of({"TF_CONFIG": line}) for line in out.splitlines()]
    return sorted(places, key=lambda place: place.worker)


def test_ssh() -> None:
    addresses = ("10.0.0.1:2222", "10.0.0.2:2222")
    script = block("Starting by hand", "bash").replace("TF_CONFIG=", "export TF_CONFIG=")
    script = script.replace("' .venv", "'; .venv").replace("echo $", 'echo "$')
    script = script.replace(".venv/bin/python -m", 'echo \\"\\$TF_CONFIG\\" #')
    assert started(script) == [Place(addresses, 0), Place(addresses, 1)]


def test_slurm() -> None:
    addresses = tuple(f"node{n}:2222" for n in (1, 2, 3, 4))
    found = started(block("Slurm", "bash"), SLURM_JOB_NODELIST="node[1-4]")
    assert found == [Place(addresses, worker) for worker in range(4)]


def test_kubernetes() -> None:
    service, job, policy = yaml.safe_load_all(block("Kubernetes", "yaml"))
    spec: dict[str, Any] = job["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    name, count = job["metadata"]["name"], spec["completions"]
    assert (spec["completionMode"], spec["parallelism"]) == ("Indexed", count)
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": name}
    assert policy["spec"]["podSelector"]["matchLabels"] == {"job-name": name}
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert variables == {"WORKERS": str(count)}
    addresses = tuple(f"{name}-{worker}.{pod['subdomain']}:2222" for worker in range(count))
    for worker in range(count):
        index = {"JOB_COMPLETION_INDEX": str(worker)}
        assert started(container["args"][0], **variables, **index) == [Place(addresses, worker)]


def test_parts_of_an_evaluation(tmp_path: Path) -> None:
    script = block("Search and evaluate on many machines", "bash").partition("\n")[2]
    for number, (n, accuracy) in enumerate([(30, 0.5), (10, 0.9)]):
        figures = {"n": n, "accuracy": accuracy, "loss": 1.0}
        (tmp_path / f"part-{number}.json").write_text(json.dumps(figures))
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert [float(one) for one in done.stdout.split()] == pytest.approx([40, 0.6, 1.0])


def test_the_script_for_ray_compiles() -> None:
    compile(block("Ray", "py"), "ray_workers.py", "exec")
