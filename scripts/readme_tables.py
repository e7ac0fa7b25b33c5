"""Put measured tables into the README, between the comments that name their files.

    python scripts/readme_tables.py           # writes README.md
    python scripts/readme_tables.py --check   # exits 1 if it is not up to date

What stands between `<!-- results/reproduction.json -->` and `<!-- end -->` is made from that file;
the same of `results/benchmark.json` and other files that scripts/benchmark.py writes.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from bench.report import overview

from cnnlab.reproduce.table import Table, markdown

ROOT = Path(__file__).parent.parent
_PLACE = re.compile(r"(<!-- (results/\w+\.json) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(readme: str) -> str:
    """The README's text with its tables as the results are now."""

    def table(place: re.Match[str]) -> str:
        source = ROOT / place[2]
        if source.stem.startswith("benchmark"):
            text = overview(json.loads(source.read_text(encoding="utf-8")))
        else:
            text = markdown(Table(source).rows())
        return f"{place[1]}\n{text}\n{place[3]}"

    return _PLACE.sub(table, readme)


def main() -> int:
    """Fill the tables, or check them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    is_check = parser.parse_args().check
    path = ROOT / "README.md"
    before = path.read_text(encoding="utf-8")
    after = filled(before)
    if is_check:
        return int(before != after)
    path.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
