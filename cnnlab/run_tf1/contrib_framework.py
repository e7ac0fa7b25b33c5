"""`tf.contrib.framework`: scopes of arguments, variables by name, and checkpoints."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.run_tf1 import contrib_layers, scopes


def names_of_framework() -> dict[str, Any]:
    """Return what `tf.contrib.framework` had, by name."""
    return {
        "arg_scope": scopes.arg_scope,
        "add_arg_scope": scopes.add_arg_scope,
        "has_arg_scope": scopes.has_arg_scope,
        "current_arg_scope": scopes.current_arg_scope,
        "arg_scoped_arguments": scopes.arg_scoped_arguments,
        "get_or_create_global_step": tf.train.get_or_create_global_step,
        "create_global_step": tf.train.create_global_step,
        "get_global_step": tf.train.get_global_step,
        "assert_global_step": tf.train.assert_global_step,
        "model_variable": contrib_layers.model_variable,
        "variable": _variable,
        "get_variables": _get_variables,
        "get_model_variables": lambda scope=None, suffix=None: _get_variables(
            scope, suffix, tf.GraphKeys.MODEL_VARIABLES
        ),
        "get_trainable_variables": lambda scope=None, suffix=None: _get_variables(
            scope, suffix, tf.GraphKeys.TRAINABLE_VARIABLES
        ),
        "get_local_variables": lambda scope=None, suffix=None: _get_variables(
            scope, suffix, tf.GraphKeys.LOCAL_VARIABLES
        ),
        "get_variables_to_restore": _variables_to_restore,
        "get_variables_by_name": lambda name, scope=None: _get_variables(scope, name),
        "get_variables_by_suffix": lambda suffix, scope=None: _get_variables(scope, suffix),
        "assign_from_checkpoint": _assign_from_checkpoint,
        "assign_from_checkpoint_fn": _assign_from_checkpoint_fn,
        "init_from_checkpoint": tf.train.init_from_checkpoint,
        "load_checkpoint": tf.train.load_checkpoint,
        "load_variable": tf.train.load_variable,
        "list_variables": tf.train.list_variables,
        "is_tensor": tf.is_tensor,
        "nest": tf.nest,
        "sort": tf.sort,
        "argsort": tf.argsort,
    }


def _variable(name: str, shape: Any = None, **given: Any) -> Any:
    given.pop("device", None)
    return tf.get_variable(name, shape, **given)


def _get_variables(scope: Any = None, suffix: Any = None, collection: str | None = None) -> Any:
    """Return the variables of a collection (default: all) by the start and end of their names."""
    if isinstance(scope, tf.VariableScope):
        scope = scope.name
    found = tf.get_collection(collection or tf.GraphKeys.GLOBAL_VARIABLES, scope)
    if suffix is None:
        return found
    return [each for each in found if each.op.name.endswith(suffix.partition(":")[0])]


def _variables_to_restore(include: Any = None, exclude: Any = None) -> list[Any]:
    def of(scopes_given: Any) -> list[Any]:
        return [each for scope in scopes_given for each in _get_variables(scope)]

    chosen = _get_variables() if include is None else of(include)
    left_out = {each.name for each in of(exclude or ())}
    return [each for each in chosen if each.name not in left_out]


def _assign_from_checkpoint(model_path: str, var_list: Any) -> Any:
    reader = tf.train.load_checkpoint(model_path)
    named = var_list if isinstance(var_list, dict) else {v.op.name: v for v in var_list}
    feeds, assigns = {}, []
    for name, variable in named.items():
        value = tf.placeholder(variable.dtype.base_dtype, variable.shape)
        assigns.append(variable.assign(value))
        feeds[value] = reader.get_tensor(name).reshape(variable.shape.as_list())
    return tf.group(*assigns), feeds


def _assign_from_checkpoint_fn(
    model_path: str,
    var_list: Any,
    ignore_missing_vars: bool = False,
    reshape_variables: bool = False,
) -> Any:
    names = set(tf.train.load_checkpoint(model_path).get_variable_to_shape_map())
    named = var_list if isinstance(var_list, dict) else {v.op.name: v for v in var_list}
    if ignore_missing_vars:
        named = {name: variable for name, variable in named.items() if name in names}
    saver = tf.train.Saver(named)
    return lambda session: saver.restore(session, model_path)
