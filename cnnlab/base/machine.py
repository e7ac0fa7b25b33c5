"""What a measured figure was measured on: the machine and the versions."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("cnnlab", "tensorflow", "tf-keras", "numpy")
CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16")


def describe_machine() -> dict[str, Any]:
    """The CPU, its features that matter to matrix products, its cores that may be used, the memory
    (GB of 2**30 bytes) and the system."""
    return {
        "cpu": _cpu_name(),
        "cpu_features": cpu_features(),
        "cores": len(os.sched_getaffinity(0)),
        "ram_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": platform.system(),
    }


def _cpu_name() -> str:
    """With the numbers of its kind, which virtual machines leave out of the name."""
    cpu = _cpu()
    fields = {"family": "cpu family", "model": "model"}
    numbers = [f"{label} {cpu[field]}" for label, field in fields.items() if field in cpu]
    name = cpu.get("model name") or platform.processor() or platform.machine()
    return ", ".join([name, *numbers])


def cpu_features() -> list[str]:
    """Those of `CPU_FEATURES` that the CPU has."""
    flags = _cpu().get("flags", "").split()
    return [feature for feature in CPU_FEATURES if feature in flags]


@functools.cache
def _cpu() -> dict[str, str]:
    """What Linux says of the first CPU; nothing elsewhere."""
    cpu: dict[str, str] = {}
    if Path("/proc/cpuinfo").is_file():
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            cpu.setdefault(name.strip(), value.strip())
    return cpu


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of Python and of packages; "not installed" for one that is not, as a checkout on
    sys.path."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit() -> str | None:
    """The commit of the checkout that cnnlab runs from, with "+changes" where files differ from it;
    None outside of a checkout."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None
    git = ("git", "-C", str(folder))
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
    except (OSError, subprocess.CalledProcessError):  # no git here
        return None
    return f"{head}+changes" if changes else head
