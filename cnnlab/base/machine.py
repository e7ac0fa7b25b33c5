"""Facts to record beside a measured figure: the machine, the versions, the commit."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("cnnlab", "tensorflow", "tf-keras", "numpy")
CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16")


def provenance() -> dict[str, Any]:
    """Return what a figure is measured with here: machine, versions and commit, JSON-ready."""
    return {"machine": describe_machine(), "versions": versions(), "commit": commit()}


def joined_provenance(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the provenance of a figure that several runs share.

    Args:
        parts: of each run, in order; see `provenance`.

    Returns:
        machine and versions of the last run, and as commit those of all runs, each once.
    """
    commits = dict.fromkeys(part["commit"] for part in parts if part["commit"] is not None)
    return {**parts[-1], "commit": ", ".join(commits) or None}


def describe_machine() -> dict[str, Any]:
    """Describe this machine as a JSON-ready mapping.

    Returns:
        cpu: the name of the CPU, with family and model numbers where Linux reports them.
        cpu_features: the features of `CPU_FEATURES` that the CPU has.
        cores: the number of cores that this process may use.
        ram_gb: the memory in units of 2**30 bytes.
        system: the operating system.
    """
    return {
        "cpu": _cpu_name(),
        "cpu_features": cpu_features(),
        "cores": len(os.sched_getaffinity(0)),
        "ram_gb": round(memory_bytes() / 2**30, 1),
        "system": platform.system(),
    }


def memory_bytes() -> int:
    """Return the size of this machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cpu_name() -> str:
    # Virtual machines often report a vague name. Family and model numbers identify the CPU.
    cpu = _cpu()
    fields = {"family": "cpu family", "model": "model"}
    numbers = [f"{label} {cpu[field]}" for label, field in fields.items() if field in cpu]
    name = cpu.get("model name") or platform.processor() or platform.machine()
    return ", ".join([name, *numbers])


def cpu_features() -> list[str]:
    """Return the features of `CPU_FEATURES` that this CPU has."""
    flags = _cpu().get("flags", "").split()
    return [feature for feature in CPU_FEATURES if feature in flags]


@functools.cache
def _cpu() -> dict[str, str]:
    """Return Linux's description of the first CPU by field name; empty on other systems."""
    cpu: dict[str, str] = {}
    if Path("/proc/cpuinfo").is_file():
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            cpu.setdefault(name.strip(), value.strip())
    return cpu


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of the packages, by name.

    A package that is not installed has "not installed", as does a checkout that is only on
    sys.path.
    """
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@functools.cache  # that of the code which this process has loaded
def commit() -> str | None:
    """Return the Git commit that cnnlab runs from, or None outside a checkout.

    "+changes" follows the commit if tracked files of the package or recipes differ from it.
    """
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None
    git = ("git", "--no-optional-locks", "-C", str(folder))
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no", "--", "cnnlab", "configs"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):  # git is missing, or cannot read the checkout
        return None
    return f"{head}+changes" if changes else head
