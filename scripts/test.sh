#!/usr/bin/env bash
# Make .venv with the test extra, then run lint, types and the fast tests; --slow: all tests.
set -euo pipefail

case "${1-}" in
    '') set -- ;;
    --slow) set -- -m '' ;; # deselects nothing
    *)
        echo "error: unknown argument $1; usage: bash scripts/test.sh [--slow]" >&2
        exit 2
        ;;
esac

# shellcheck source=scripts/venv.sh
source "$(dirname "${BASH_SOURCE[0]}")/venv.sh"
make_venv '.[test]'
exec bash scripts/check.sh "$@"
