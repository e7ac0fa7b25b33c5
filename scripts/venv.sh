# The other scripts source this file and call `make_venv .` or `make_venv '.[test]'`.
# Then the working directory is the root of the checkout, and $VENV_PYTHON is .venv's Python.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
VENV_PYTHON="$PWD/.venv/bin/python"

# Print the first Python on the PATH that is 3.11 or later. Fail with advice if there is none.
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

# Make .venv and install this checkout into it, editable. Do nothing if that is done already.
#   $1: what to install: . or .[test]
# The first line of .venv/installed is the folder of .venv, because a moved .venv does not work. Each
# other line is a checksum of the files that list the requirements, and what was installed.
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
