#!/usr/bin/env bash
# Lint, format, types, generated pages and fast tests, with .venv's Python, else python3.
# Arguments go to pytest: `bash scripts/check.sh -m ''` runs the slow tests too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=python3
if [[ -x .venv/bin/python ]]; then
    python="$PWD/.venv/bin/python"
fi

"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
"$python" scripts/pages.py --check
"$python" -m pytest --numprocesses=2 --dist=worksteal "$@" </dev/null
