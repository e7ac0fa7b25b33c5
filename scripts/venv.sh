# Sourced by the other scripts, not run: `source scripts/venv.sh`, then `make_venv .` or `make_venv '.[test]'`.
# Afterwards the working directory is the top of the checkout and $VENV_PYTHON is .venv's Python.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
VENV_PYTHON="$PWD/.venv/bin/python"

# Print the first Python on the PATH that is 3.11 or later; fail, saying what to do, if there is none.
find_python() {
    local name
    for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$name"
            return
        fi
    done
    echo 'error: no Python 3.11 or later found; install one, or name it: PYTHON=/path/to/python bash scripts/...' >&2
    return 1
}

# Make .venv and install this checkout into it, editable; do nothing where that is already done.
#   $1: what to install: . or .[test]
# .venv/installed remembers: its first line is the place of .venv, which cannot be moved; each other line
# is a sum of the files that say what to install, and what was installed.
make_venv() {
    local what=$1 stamp=.venv/installed sum python
    sum=$(cat setup.py requirements.txt pyproject.toml | cksum)
    if [[ -f $stamp && $(head -n 1 "$stamp") != "$PWD" ]] ||
        ! "$VENV_PYTHON" -c 'import pip' 2>/dev/null; then
        python=$(find_python) || return
        echo "making .venv with $("$python" --version)"
        if ! "$python" -m venv --clear .venv; then
            echo "error: $python makes no virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2
            return 1
        fi
    fi
    if [[ -f $stamp ]] && grep -qxF -e "$sum $what" "$stamp"; then
        return
    fi
    echo "installing $what into .venv (the first time this takes some minutes)"
    "$VENV_PYTHON" -m pip install --quiet --disable-pip-version-check --no-input --editable "$what" </dev/null ||
        return
    if [[ -f $stamp ]] && grep -qF -e "$sum" "$stamp"; then
        printf '%s\n' "$sum $what" >>"$stamp"
    else
        printf '%s\n' "$PWD" "$sum $what" >"$stamp"
    fi
}
