"""Reading the program before it runs: which TensorFlow and which Python it was written for."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tokenize
from pathlib import Path
from typing import Any, Final, NamedTuple

from cnnlab.base.errors import CnnlabError, UsageError

_PYTHON2: Final = (
    (re.compile(r"^\s*print\b(?!\s*\()"), "a print statement"),
    (re.compile(r"^\s*exec\s+[^(=]"), "an exec statement"),
    (re.compile(r"^\s*except\s+[\w.]+\s*,\s*\w+\s*:"), "except NAME, VARIABLE"),
    (re.compile(r"^\s*raise\s+[\w.]+\s*,"), "raise NAME, TEXT"),
    (re.compile(r"<>"), "the operator <>"),
    (re.compile(r"\b0\d+\b|\b\d+L\b"), "a number as 0777 or 10L"),
    (re.compile(r"`"), "backquotes"),
    (re.compile(r"\bur['\"]"), "a string with ur"),
    (re.compile(r"lambda\s*\(|def\s+\w+\s*\(.*\(\s*\w+\s*,"), "a tuple as an argument"),
)
_PYTHON2_MODULES: Final = frozenset(
    [
        "cPickle",
        "urllib2",
        "ConfigParser",
        "Queue",
        "StringIO",
        "cStringIO",
        "httplib",
        "urlparse",
        "Tkinter",
        "commands",
        "__builtin__",
        "exceptions",
        "thread",
        "HTMLParser",
        "xmlrpclib",
        "copy_reg",
    ]
)
# Module -> the package that has it, where it has another name. Only these are advised: a package of
# an unknown module's name may be anything.
_ONE_NAME: Final = ["imageio", "matplotlib", "pandas", "scipy", "seaborn", "six", "tqdm", "h5py"]
_PACKAGES: Final = {
    "cv2": "opencv-python-headless",
    "PIL": "Pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
    **{name: name for name in _ONE_NAME},
}
# Names that only version 2 has, or only version 1.
_ONLY_2: Final = re.compile(
    r"\btf\.(function|GradientTape|random\.(set_seed|normal|uniform)|config\.experimental|"
    r"keras\.optimizers\.legacy)\b|\.make_initializable_iterator_v2\b"
)
_ONLY_1: Final = re.compile(
    r"\btf\.(placeholder|Session|InteractiveSession|global_variables_initializer|contrib|layers|"
    r"get_variable|app|flags|logging|estimator|initialize_all_variables|ConfigProto|"
    r"set_random_seed|truncated_normal|random_normal|log|enable_eager_execution|gfile|"
    r"train\.(\w+Optimizer|Saver|MonitoredTrainingSession|Supervisor))\b|\bslim\b|"
    r"tensorflow\.(examples|contrib|python)|make_one_shot_iterator|from __future__"
)


class Program(NamedTuple):
    """A program that was read.

    path: its file, as it was named.
    code: what Python compiled.
    is_for_2: whether it was written for TensorFlow 2.
    is_unrelated: whether nothing in it imports TensorFlow or Keras.
    """

    path: str
    code: Any
    is_for_2: bool
    is_unrelated: bool


def read_program(path: str) -> Program:
    """Return a program that Python 3 can run.

    Raises:
        UsageError: there is no such file, it is a notebook, or its syntax is not Python 3's.
    """
    file = Path(path)
    if file.suffix == ".ipynb":
        raise UsageError(
            f"{path} is a notebook; write it as a program first: "
            f"jupyter nbconvert --to script {path}"
        )
    if not file.is_file():
        raise UsageError(f"{path}: there is no such program")
    try:
        with tokenize.open(path) as opened:
            source = opened.read()
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as Python: {error}") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    check_syntax(source, path)
    tree = ast.parse(source, path)
    names = imported_names(tree)
    imports = frozenset(name.partition(".")[0] for name in names)
    return Program(
        path,
        compile(source, path, "exec", dont_inherit=True),
        _is_for_2(source, names),
        not imports & {"tensorflow", "keras"} and not _has_own_modules(imports, file.parent),
    )


def check_syntax(source: str, path: str) -> None:
    """Raise UsageError, with the line, if a source is not Python 3."""
    try:
        ast.parse(source, path)
    except SyntaxError as error:
        raise syntax_complaint(error, path, source) from None


def syntax_complaint(error: SyntaxError, path: str, source: str = "") -> CnnlabError:
    """Return the error of one line for a syntax error in a file of the program."""
    number = error.lineno or 1
    lines = source.splitlines()
    line = lines[number - 1] if number <= len(lines) else (error.text or "")
    for pattern, what in _PYTHON2:
        if pattern.search(line):
            return UsageError(
                f"{path}:{number}: {what} is Python 2: {line.strip()[:60]} -- "
                f"convert the program first: python -m lib2to3 -w {path} (Python 3.12 or older)"
            )
    if isinstance(error, TabError) or "inconsistent use of tabs" in str(error.msg):
        return UsageError(
            f"{path}:{number}: tabs and spaces are mixed, which Python 3 refuses; write spaces: "
            f"expand -t 8 {path}"
        )
    return UsageError(f"{path}:{number}: {error.msg}: {line.strip()[:60]}")


def imported_names(tree: ast.AST) -> set[str]:
    """Return the full names of modules that a source imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def _is_for_2(source: str, names: set[str]) -> bool:
    if any(name.startswith("tensorflow.compat.v1") for name in names):
        return False
    return bool(_ONLY_2.search(source)) and not _ONLY_1.search(source)


def _has_own_modules(imports: frozenset[str], folder: Path) -> bool:
    """Return whether a program imports files beside it, which may import TensorFlow."""
    return any((folder / f"{name}.py").exists() or (folder / name).is_dir() for name in imports)


def module_complaint(error: ModuleNotFoundError, file: str) -> str:
    """Return what to do about a module that is not found, or ""; `file` imports it."""
    name = (error.name or "").partition(".")[0]
    if name in _PYTHON2_MODULES:
        return f"{name} is a module of Python 2: convert the program, python -m lib2to3 -w FILE"
    if not name or name in sys.stdlib_module_names or importlib.util.find_spec(name):
        return ""
    if name == "tf":
        return "only the program calls it tf: import tensorflow... in full, or use tf.NAME"
    folder = Path(file).parent
    if (folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists():
        return f"Python 2 found it beside {folder.name}/{Path(file).name}: from . import {name}"
    if name in _PACKAGES:
        return f"the program needs the package {_PACKAGES[name]}: pip install {_PACKAGES[name]}"
    return f"{name} is neither installed nor beside the program; its authors say what it is"
