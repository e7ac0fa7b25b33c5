"""Kill a run on pictures again and again, each time with the pixels in another place.

    python scripts/safety/picture_kills.py --kills=5 --work_dir=/tmp/kills

The command `python -m cnnlab train` trains on generated JPEG files. It is killed with SIGKILL at
random steps and goes on with another --cache: in memory, in the cache on disk, or with none. In the
end its weights, figures and event files must be those of a run that nothing stopped.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from scripts.safety.comparing import divergences

ROOT: Final = Path(__file__).resolve().parents[2]
CACHES: Final = ("none", "disk", "memory")
STEPS: Final = 300
OPTIONS: Final = (
    *("--dataset=folder:pictures", "--image_size=24,24", "--model=cifar_cnn", "--batch_size=10"),
    *("--model_options={dropout: 0.3}", "--augment=[flip, {translate: {pixels: 2}}]"),
    *(f"--steps={STEPS}", "--checkpoint_steps=7", "--eval_steps=50", "--summary_steps=20"),
    *("--ema_decay=0.99", "--device=cpu", "--quiet", "--max_to_keep=3"),
)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="of the steps of the kills")
    parser.add_argument("--work_dir", required=True, help="folder for pictures and runs")
    args = parser.parse_args()
    folder = Path(args.work_dir)
    write_pictures(folder / "pictures")
    problems = kill_and_compare(folder, args.kills, args.seed)
    print("\n".join(problems) or f"{args.kills} kills: every bit is that of the uninterrupted run")
    sys.exit(bool(problems))


def write_pictures(folder: Path) -> None:
    """Write 120 JPEG files of two classes and of many sizes."""
    rng = np.random.default_rng(1)
    for number in range(120):
        path = folder / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        low = rng.normal(110 + 40 * (number % 2), 40, (6, 6, 3)).clip(0, 255).astype(np.uint8)
        picture = Image.fromarray(low).resize((30 + number, 40), Image.Resampling.BICUBIC)
        picture.save(path, quality=90)


def kill_and_compare(folder: Path, kills: int, seed: int) -> list[str]:
    """Make a run that nothing stops and one that is killed; return what differs.

    Args:
        folder: has the folder pictures, and gets the runs.
        kills: how often to kill.
        seed: of the steps at which the run is killed.
    """
    _end_of(_start(folder, "straight", "memory"))
    chance = random.Random(seed)
    for number, step in enumerate(sorted(chance.sample(range(1, STEPS - 40), kills))):
        process = _start(folder, "killed", CACHES[number % 3])
        while process.poll() is None and _saved_step(folder / "killed") < step:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            return [f"the run ended before kill {number + 1}, with code {process.returncode}"]
        saved = _saved_step(folder / "killed")
        print(f"killed after step {saved}, --cache={CACHES[number % 3]}", file=sys.stderr)
    _end_of(_start(folder, "killed", CACHES[kills % 3]))
    return divergences(folder / "straight", folder / "killed")


def _start(folder: Path, save_dir: str, cache: str) -> subprocess.Popen[bytes]:
    words = [*OPTIONS, f"--cache={cache}", f"--save_dir={save_dir}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "cnnlab", "train", *words], cwd=folder, env=environment
    )


def _end_of(process: subprocess.Popen[bytes]) -> None:
    if process.wait() != 0:
        raise SystemExit(f"the run failed with code {process.returncode}")


def _saved_step(save_dir: Path) -> int:
    """Return the step of the newest complete checkpoint; 0: there is none."""
    names = [path.stem for path in save_dir.glob("model.ckpt-*.index")]
    return max((int(name.rpartition("-")[2]) for name in names), default=0)


if __name__ == "__main__":
    main()
