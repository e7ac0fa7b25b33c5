"""The first script: a program's own network, as a model function that `Train` trains."""

from __future__ import annotations

import ast
import builtins
import copy
import keyword
from typing import Any, Final

from cnnlab.port.comments import unparse
from cnnlab.port.full_names import FullNames, dotted
from cnnlab.port.input_functions import LABELS
from cnnlab.port.inputs_found import IMAGES, placeholders_in
from cnnlab.port.losses_found import NotFoundError
from cnnlab.port.name_uses import bound_in, read_in
from cnnlab.port.options_written import lines_of, write_options
from cnnlab.port.recognising import Recognised
from cnnlab.port.rewriting import TRAINING, CannotRewriteError, Rewriting

_REFUSED: Final = (
    *("tf.random_crop", "tf.image.random_", "tf.random_shuffle", "tf.py_func", "tf.contrib."),
    *("keras.", "tf.nn.rnn_cell", "tf.nn.dynamic_rnn", "tf.nn.static_rnn"),
)
# Modules that a script may import as the program does.
_MODULES: Final = ("numpy", "math", "functools", "itertools", "collections", "six")


def write_script(found: Recognised, name: str) -> str:
    """Return the text of a script.

    Args:
        found: what the program is.
        name: the program's file name.

    Raises:
        NotFoundError: a part of the network cannot be moved into a model function.
    """
    return _Script(found).text(name)


class _Script:
    """Writes one script."""

    def __init__(self, found: Recognised) -> None:
        self._found, self._story = found, found.story
        self._names: FullNames = found.story.names
        self._tf = next(
            (n for n, full in self._names.imported.items() if self._names.of(ast.Name(n)) == "tf"),
            "tf",
        )
        self._outside: list[ast.stmt] = []  # of the model function
        self._inside: list[tuple[tuple[ast.With, ...], ast.stmt]] = []

    def text(self, name: str) -> str:
        """Return the whole script."""
        self._divide()
        options, functions = write_options(self._found, self._tf, self._outside)
        model = self._model()
        used = set().union(
            *map(read_in, [*self._outside, model, *ast.parse("\n".join(functions)).body])
        )
        head = [
            f'"""{name}, ported to cnnlab. Written by `cnnlab port`: read it, then change it."""',
            "",
            *self._imports(used),
            "",
        ]
        parts = ["\n".join(head)]
        if self._outside:
            parts.append(lines_of(self._outside))
        parts += [unparse(model), *functions]
        shown = "\n".join(f"    {key}={value}," for key, value in options)
        parts.append(f"OPTIONS = dict(\n{shown}\n)")
        parts.append(
            'if __name__ == "__main__":\n    with Train(**OPTIONS) as train:\n'
            "        print(train.train())"
        )
        script = "\n\n\n".join(part.strip("\n") for part in parts) + "\n"
        self._check(script, used)
        return script

    def _divide(self) -> None:
        """Divide the chosen statements into those outside and those inside the model function."""
        graph_names: set[str] = set()
        makers: set[str] = set()  # functions of the program that make variables or operations
        rewritten = [(i, *self._rewritten(i)) for i in self._found.chosen]
        changed = True
        inside: set[int] = set()
        while changed:  # a function may come before what it uses
            changed = False
            for i, node, needs_training in rewritten:
                if i in inside or isinstance(node, ast.Import | ast.ImportFrom):
                    continue
                is_graph = needs_training or bool(read_in(node) & graph_names)
                if not self._story.items[i].is_function:
                    is_graph |= self._story.makes_graph(node) or bool(read_in(node) & makers)
                elif self._story.makes_graph(node) or read_in(node) & makers:
                    changed |= not bound_in(node) <= makers
                    makers |= bound_in(node)
                if is_graph:
                    inside.add(i)
                    graph_names |= bound_in(node)
                    changed = True
        for i, node, _ in rewritten:
            if isinstance(node, ast.Import | ast.ImportFrom):
                continue
            if i in inside:
                if not _is_self_assignment(node):
                    self._inside.append((self._story.items[i].scopes, node))
            else:
                self._outside.append(self._story.literal(node, i, self._constants()))

    def _constants(self) -> set[str]:
        """Return the names that the chosen statements bind."""
        return set().union(*(self._story.bound[i] for i in self._found.chosen))

    def _rewritten(self, index: int) -> tuple[ast.stmt, bool]:
        """Return a statement for the model function, and whether it reads `training`."""
        item = self._story.items[index]
        for target, call in placeholders_in(item.node, self._names):
            call.port_target = target  # type: ignore[attr-defined]  # kept by the copy below

        def replaced(call: ast.Call, _target: str) -> ast.expr:
            new = self._found.inputs.get(getattr(call, "port_target", ""))
            if LABELS in ast.unparse(call):
                new = ast.Constant(None)
            if new is None:
                raise NotFoundError(f"what the placeholder at line {call.lineno} is fed with")
            replaced_any.append(new)
            return copy.deepcopy(new)

        replaced_any: list[ast.expr] = []
        makers = dict.fromkeys(("tf.placeholder", "tf.placeholder_with_default"), replaced)
        rewriting = Rewriting(self._names, self._tf, makers)
        node: ast.stmt = _Flags(self._story.known[index]).visit(copy.deepcopy(item.node))
        try:
            node = rewriting.visit(node)
        except CannotRewriteError as error:
            raise NotFoundError(f"a counterpart: {error}") from error
        self._found.notes += rewriting.notes
        ast.fix_missing_locations(node)
        for inner in ast.walk(node):
            full = self._names.of_call(inner)
            if full.startswith(_REFUSED):
                raise NotFoundError(f"a model without {full} (line {getattr(inner, 'lineno', 0)})")
        reads_images = any(IMAGES in read_in(new) for new in replaced_any)
        return node, rewriting.uses_training or reads_images

    def _model(self) -> ast.FunctionDef:
        """Return the model function."""
        loss = self._found.loss
        body = _grouped(self._inside)
        for term, index in loss.penalties:
            del index
            call = f"{self._tf}.add_to_collection({self._tf}.GraphKeys.REGULARIZATION_LOSSES, 0)"
            added = ast.parse(call, mode="eval").body
            assert isinstance(added, ast.Call)
            body.append(ast.Expr(ast.Call(added.func, [added.args[0], term], [])))
        rewriting = Rewriting(self._names, self._tf)
        logits = rewriting.visit(copy.deepcopy(loss.logits[0]))
        if loss.of_probabilities:
            text = (
                f"{self._tf}.math.log({self._tf}.clip_by_value({ast.unparse(logits)}, 1e-10, 1.0))"
            )
            logits = ast.parse(text, mode="eval").body
        body.append(ast.Return(logits))
        name = self._found.function_name
        model = ast.parse(f"def {name}(images, num_classes, *, training): pass").body[0]
        assert isinstance(model, ast.FunctionDef)
        model.body = body
        return ast.fix_missing_locations(model)

    def _imports(self, used: set[str]) -> list[str]:
        lines = []
        for name, full in self._names.imported.items():
            if name not in used or full.startswith(("tensorflow", "tf")):
                continue
            module = full.partition(".")[0]
            if module not in _MODULES:
                continue  # reported by the check of names
            if "." in full and not _is_module(full):
                package, _, last = full.rpartition(".")
                as_name = "" if last == name else f" as {name}"
                lines.append(f"from {package} import {last}{as_name}")
            else:
                lines.append(f"import {full}" + ("" if full == name else f" as {name}"))
        own = "tf" if self._tf == "tf" else f"tf as {self._tf}"
        return [*sorted(lines), *([""] if lines else []), f"from cnnlab import Train, {own}"]

    def _check(self, script: str, used: set[str]) -> None:
        """Raise NotFoundError if the script uses a name that it does not define."""
        tree = ast.parse(script)
        defined = set(dir(builtins))
        defined |= set().union(*map(bound_in, tree.body)) | {self._tf}
        missing = {
            name
            for name in set().union(*map(read_in, tree.body))
            if "." not in name and name not in defined and not keyword.iskeyword(name)
        }
        if missing - {"train"}:
            names = ", ".join(sorted(missing - {"train"}))
            raise NotFoundError(f"what these names are, which the network uses: {names}")


class _Flags(ast.NodeTransformer):
    """Writes the values of flags of the command line out, as FLAGS.learning_rate."""

    def __init__(self, known: dict[str, Any]) -> None:
        self._known = {name: value for name, value in known.items() if "." in name}

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        text = dotted(node)
        if text in self._known and isinstance(node.ctx, ast.Load):
            value = self._known[text]
            if isinstance(value, int | float | str | bool):
                return ast.copy_location(ast.Constant(value), node)
        self.generic_visit(node)
        return node


def _grouped(items: list[tuple[tuple[ast.With, ...], ast.stmt]]) -> list[ast.stmt]:
    """Return statements inside the `with` statements around them; neighbours share one."""
    body: list[ast.stmt] = []
    while items:
        scopes, node = items[0]
        if not scopes:
            body.append(node)
            items = items[1:]
            continue
        count = next(
            (n for n, (s, _) in enumerate(items) if not s or s[0] is not scopes[0]), len(items)
        )
        inner = _grouped([(s[1:], n) for s, n in items[:count]])
        body.append(ast.With(scopes[0].items, inner))
        items = items[count:]
    return body


def _is_self_assignment(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and ast.unparse(node.targets[0]) == ast.unparse(node.value) == TRAINING
    )


def _is_module(full: str) -> bool:
    return full in ("numpy.random", "collections.abc")
