"""Run bad inputs through the real commands and count what happens.

    python scripts/safety/hostile.py [--only=WORD]

Exits with 1 if a command ends in a traceback, hangs, leaves with a wrong exit code, prints more
than one error line, takes hundreds of megabytes, or writes outside its folder.
"""

import argparse
import collections
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab import Train
from scripts.safety.cases import OPTIONS
from scripts.safety.corpus import cases
from scripts.safety.running import run_case


def main() -> int:
    """Run the cases and report; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="run only the cases whose name contains this")
    args = parser.parse_args()
    chosen = [case for case in cases() if args.only in case.name]
    codes: collections.Counter[object] = collections.Counter()
    problems = []
    with tempfile.TemporaryDirectory() as work:
        run = Path(work) / "run"
        with Train(**OPTIONS, save_dir=str(run)) as train:
            train.train()
        for case in chosen:
            outcome = run_case(case, run, Path(work) / "case")
            codes[outcome.code] += 1
            if outcome.problem:
                problems.append(f"{case.name}: {outcome.problem}")
                print(f"BAD {problems[-1]}\n    {outcome.stderr[-500:]}", flush=True)
    counts = ", ".join(f"{count} exit {code}" for code, count in sorted(codes.items(), key=str))
    print(f"{len(chosen)} bad inputs: {counts}; {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
