"""The user's functions of a run: copied into its run directory, and loaded from there.

config.yaml records each function by the option that names it, with the checksums of its files. The
record is signed with a key of the user's, so that a run directory from elsewhere is recognized: its
code runs only with --trust.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pydantic

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import replace_folder, translate_os_errors
from cnnlab.base.own_functions import Modules, OwnFunction, load
from cnnlab.config import cli
from cnnlab.config.own_names import flag_of

CODE_DIR: Final = "code"
_KEY_BYTES: Final = 32
_MAX_FILE_BYTES: Final = 10_000_000


@pydantic.dataclasses.dataclass(frozen=True)
class KeptFunction:
    """What config.yaml records of one function.

    name: the name that the option has for it.
    source: FILE.py:NAME or PACKAGE.MODULE:NAME, from which it is loaded; None: it cannot be.
    is_script: whether its file is the program that trained the run.
    folder: the folder that its files were copied from.
    files: path of each file relative to the folder, and its SHA-256.
    """

    name: str
    source: str | None
    is_script: bool
    folder: str
    files: dict[str, str]


def keep_code(save_dir: Path, own: Mapping[str, OwnFunction]) -> dict[str, Any]:
    """Copy the files of the user's functions into the run directory.

    Args:
        save_dir: the run directory.
        own: option to function.

    Returns:
        what config.yaml records: `code`, option to a `KeptFunction`, and `code_signature`. Empty if
        there are no functions.

    Raises:
        CnnlabError: a file cannot be read or written.
    """
    if not own:
        return {}
    code: dict[str, Any] = {}
    contents: dict[str, bytes] = {}  # read first, because they may be the copies themselves
    all_kept: dict[str, KeptFunction] = {}
    for option, function in own.items():
        found = {}
        for relative, path in function.files.items():
            with translate_os_errors(path):
                found[relative] = path.read_bytes()
        sums = {relative: _sum_of(content) for relative, content in found.items()}
        kept = all_kept[option] = KeptFunction(
            function.name, function.source, function.is_script, str(function.folder), sums
        )
        code[option] = dict(vars(kept))
        if _place_of(option, all_kept) == option:
            contents |= {f"{option}/{relative}": content for relative, content in found.items()}

    def write(folder: Path) -> None:
        for relative, content in contents.items():
            (folder / relative).parent.mkdir(parents=True, exist_ok=True)
            (folder / relative).write_bytes(content)

    if contents:
        replace_folder(save_dir / CODE_DIR, write)
    return {"code": code, "code_signature": _signature_of(code)}


def kept_functions(facts: Mapping[str, Any], save_dir: str | Path) -> dict[str, KeptFunction]:
    """Return what config.yaml records of the user's functions, by option.

    Args:
        facts: the content of config.yaml.
        save_dir: the run directory, for messages.

    Raises:
        CnnlabError: the record is damaged.
    """
    adapter = pydantic.TypeAdapter(dict[str, KeptFunction])
    try:
        return adapter.validate_python(facts.get("code", {}))
    except pydantic.ValidationError as error:
        raise CnnlabError(f"{save_dir}: the record of code in config.yaml is damaged") from error


def check_trusted(
    facts: Mapping[str, Any], save_dir: str | Path, names: Mapping[str, str], *, trust: bool
) -> None:
    """Refuse to run the code of a run directory that this user's key has not signed.

    Args:
        facts: the content of config.yaml.
        save_dir: the run directory.
        names: option to name of the functions that the run's options name.
        trust: whether the user allows it.

    Raises:
        UsageError: the code is not signed, or another key signed it.
        CnnlabError: an option names another function than the record of code.
    """
    if not names:
        return
    kept = kept_functions(facts, save_dir)
    for option, name in names.items():
        if option not in kept or kept[option].name != name:
            raise CnnlabError(
                f"{save_dir} does not have the code of its {option} {name}; give it with "
                f"{flag_of(option)}=FILE.py:NAME"
            )
    signature = str(facts.get("code_signature", "")).encode()
    is_signed = hmac.compare_digest(signature, _signature_of(facts["code"]).encode())
    if not (is_signed or trust):
        raise UsageError(
            f"{save_dir} brings code that was not written by you on this machine; read "
            f"{Path(save_dir) / CODE_DIR}, then run it with --trust, or give your own with "
            f"{flag_of(next(iter(names)))}"
        )


def _place_of(option: str, all_kept: Mapping[str, KeptFunction]) -> str:
    """Return the folder of a function's copies: the first option that has the same files."""
    kept = all_kept[option]
    same = (o for o, k in all_kept.items() if (k.folder, k.files) == (kept.folder, kept.files))
    return next(same)


def load_kept(
    option: str, all_kept: Mapping[str, KeptFunction], save_dir: str | Path, modules: Modules
) -> OwnFunction:
    """Load a function from its copy in the run directory, and say if its file has changed.

    Args:
        option: the option that names it.
        all_kept: the records of config.yaml, by option.
        save_dir: the run directory.
        modules: see `cnnlab.base.own_functions.load`.

    Raises:
        UsageError: it cannot be loaded by its name.
        CnnlabError: a copy is damaged or missing.
    """
    kept = all_kept[option]
    if kept.source is None:
        raise UsageError(
            f"{save_dir}: {option}={kept.name} cannot be loaded from a file, because Python made "
            f"it while it ran; pass it in Python as {option}=, or write it as a function of a file"
        )
    folder = Path(save_dir).resolve() / CODE_DIR / _place_of(option, all_kept)
    for relative, digest in kept.files.items():
        path = folder / relative
        if not path.resolve().is_relative_to(folder) or _sum_of_file(path) != digest:
            raise CnnlabError(
                f"{path} is damaged or was edited; put back what the run was made with"
            )
    changed = [
        path
        for name in kept.files
        if _sum_of_file(path := Path(kept.folder, name)) != kept.files[name]
    ]
    if changed and not any(folder == known for known, _, _ in modules):
        what = "has changed" if changed[0].is_file() else "is gone"
        cli.complain(
            f"{changed[0]} {what} since this run began; the copy in {folder} is used", "note"
        )
    source = kept.source
    if source.partition(":")[0].endswith(".py"):
        source = f"{Path(source.rpartition(':')[0]).name}:{source.rpartition(':')[2]}"
    function = load(source, flag_of(option), folder, is_script=kept.is_script, modules=modules)
    return function._replace(name=kept.name, source=kept.source, folder=Path(kept.folder))


def _sum_of_file(path: Path) -> str:
    """Return the checksum of a file; "" if it cannot be read or is too large for code."""
    try:
        return _sum_of(path.read_bytes()) if path.stat().st_size <= _MAX_FILE_BYTES else ""
    except OSError:
        return ""


def _sum_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _signature_of(code: Any) -> str:
    text = json.dumps(code, sort_keys=True, default=str)
    return hmac.new(_key(), text.encode(), hashlib.sha256).hexdigest()


def _key() -> bytes:
    """Return the user's key, made at its first use. Without a place for it, every call differs."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    path = Path(base, "cnnlab", "key")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
        key = path.read_bytes()
    except OSError:
        key = b""
    return key if len(key) == _KEY_BYTES else secrets.token_bytes(_KEY_BYTES)
