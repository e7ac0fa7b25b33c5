"""Flags of training that a program passes by position: `net(images, True)`."""

from __future__ import annotations

import ast

from cnnlab.port.rewriting import FLAG


def name_flags(tree: ast.Module) -> None:
    """Pass the constant True by name where it is a flag of training of a function of the program.

    Only then is it seen that `True` must become `training`: the network is built for inference too.
    """
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        function = functions.get(call.func.id)
        if function is None or any(isinstance(value, ast.Starred) for value in call.args):
            continue
        parameters = [a.arg for a in function.args.args][: len(call.args)]
        for place, (name, value) in enumerate(zip(parameters, call.args, strict=False)):
            if FLAG.match(name) and isinstance(value, ast.Constant) and value.value is True:
                named = zip(parameters[place:], call.args[place:], strict=False)
                if len(parameters) == len(call.args) and not function.args.posonlyargs:
                    keywords = [ast.keyword(name, value) for name, value in named]
                    call.keywords = [*keywords, *call.keywords]
                    call.args = call.args[:place]
                break
