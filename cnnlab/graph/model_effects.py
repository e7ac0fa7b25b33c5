"""What a model does besides computing logits: updates of variables, summaries, random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf
from cnnlab.base.user_code import place_of_operation

SUMMARY: Final = "model_summaries"  # name of the variable that holds the last step's summaries

# Operations that draw from a generator whose state no checkpoint has, and the cure for each.
_GENERATORS: Final = (
    "Multinomial",
    "ParameterizedTruncatedNormal",
    "RandomCrop",
    "RandomGamma",
    "RandomPoisson",
    "RandomPoissonV2",
    "RandomShuffle",
    "RandomStandardNormal",
    "RandomUniform",
    "RandomUniformInt",
    "RngReadAndSkip",
    "RngSkip",
    "SampleDistortedBoundingBox",
    "SampleDistortedBoundingBoxV2",
    "StatefulRandomBinomial",
    "StatefulStandardNormal",
    "StatefulStandardNormalV2",
    "StatefulTruncatedNormal",
    "StatefulUniform",
    "StatefulUniformFullInt",
    "StatefulUniformInt",
    "TruncatedNormal",
)
_CALLS: Final = (
    *("If", "StatelessIf", "Case", "StatelessCase", "While", "StatelessWhile"),
    *("PartitionedCall", "StatefulPartitionedCall"),
)


def updates_of(graph: Any) -> list[Any]:
    """Return the operations of UPDATE_OPS that are in a graph, such as those of batch norm.

    The collection is shared by all graphs of a loop. Its members may be operations, tensors, or
    what `tf.assign` returns.

    Raises:
        CnnlabError: one is inside a branch of `tf.cond`, where nothing can run it.
    """
    found = []
    for member in tf.get_collection(tf.GraphKeys.UPDATE_OPS):
        operation = getattr(member, "op", member)
        outer = getattr(operation.graph, "outer_graph", None)
        if operation.graph is graph:
            found.append(operation)
        elif outer is graph:
            raise CnnlabError(
                f"{place_of_operation(operation)}: an update in UPDATE_OPS is inside a branch, as "
                "of tf.cond, so it would never run; make it outside, with tf.where for its value"
            )
    return found


class Summaries:
    """The summaries that a model makes in training, with `tf.summary`.

    The step writes them to a variable, because the steps of a loop cannot return them.
    """

    def __init__(self) -> None:
        self._known = set(map(id, tf.get_collection(tf.GraphKeys.SUMMARIES)))

    def build_update(
        self, graph: Any, is_last: Callable[[], Any], *, is_compiled: bool
    ) -> list[Any]:
        """Take the new summaries out of the collection; add an op that keeps their values.

        Args:
            graph: the graph of the step.
            is_last: returns a bool scalar, whether this is the last step of the session run. The
                other steps do not compute the summaries.
            is_compiled: whether XLA compiles the step, which cannot make summaries.

        Returns:
            the op; no one if there are no summaries.

        Raises:
            UsageError: there are some in a compiled step.
        """
        made = self.taken(graph)
        if not made:
            return []
        if is_compiled:
            raise UsageError(
                f"{place_of_operation(made[0].op)}: XLA cannot compile tf.summary; leave --xla "
                "out, or remove the summary from the model"
            )
        with tf.init_scope():
            variable = _make_summary_variable()

        def keep() -> Any:
            with tf.control_dependencies(
                [variable.assign(tf.summary.merge(made), read_value=False)]
            ):
                return tf.constant(True)

        with tf.name_scope(SUMMARY):
            return [tf.cond(is_last(), keep, lambda: tf.constant(False)).op]

    def taken(self, graph: Any) -> list[Any]:
        """Take the new summaries out of the collection, so that `tf.summary.merge_all` works.

        Args:
            graph: return those of this graph only.
        """
        collection = tf.get_collection_ref(tf.GraphKeys.SUMMARIES)
        new = [summary for summary in collection if id(summary) not in self._known]
        collection[:] = [summary for summary in collection if id(summary) in self._known]
        return [summary for summary in new if summary.graph is graph]


@contextmanager
def collections_kept() -> Iterator[None]:
    """Forget what the block adds to the collections of the default graph."""
    graph = tf.get_default_graph()
    before = {key: list(tf.get_collection_ref(key)) for key in graph.get_all_collection_keys()}
    yield
    for key in graph.get_all_collection_keys():
        tf.get_collection_ref(key)[:] = before.get(key, [])


def summary_variables() -> list[Any]:
    """Return the variable of the default graph that holds the last summaries, if there is one."""
    return list(tf.get_collection(SUMMARY))


def _make_summary_variable() -> Any:
    """Return that variable, a bytes scalar, made at its first use. No checkpoint has it."""
    if not summary_variables():
        with tf.device("/cpu:0"):
            tf.Variable(
                b"", trainable=False, collections=[SUMMARY], name=SUMMARY, use_resource=True
            )
    return summary_variables()[0]


def check_random_numbers(tensors: Iterable[Any], *, is_allowed: bool) -> None:
    """Refuse operations that draw random numbers from a state that no checkpoint has.

    Args:
        tensors: what training or inference needs. The operations before them count.
        is_allowed: whether the run gives up exact resumption.

    Raises:
        CnnlabError: names the first one, and the user's line that made it.
    """
    if is_allowed:
        return
    for operation in operations_before(tensors):
        if operation.type in _GENERATORS:
            raise CnnlabError(
                f"{place_of_operation(operation)}: {operation.type} draws other numbers each time "
                "the run is resumed, with a seed too; use layers.dropout(x, rate, "
                "training=training), or a stateless op, as in tf.random.stateless_normal(shape, "
                "seed=cnnlab.random_key('noise')); --allow_stateful_random=True accepts it"
            )


def operations_before(tensors: Iterable[Any]) -> Iterator[Any]:
    """Yield the operations that tensors depend on, those inside functions and branches included."""
    seen: set[Any] = set()
    waiting = [getattr(tensor, "op", tensor) for tensor in tensors if tensor is not None]
    while waiting:
        operation = waiting.pop()
        if operation in seen:
            continue
        seen.add(operation)
        yield operation
        waiting += [tensor.op for tensor in operation.inputs]
        waiting += operation.control_inputs
        waiting += _outputs_of_functions(operation)


def _outputs_of_functions(operation: Any) -> list[Any]:
    """Return the last operations of the functions that an operation calls."""
    if operation.type not in _CALLS:  # reading the attributes takes long
        return []
    found = []
    for value in operation.node_def.attr.values():
        names = [value.func.name] if value.HasField("func") else [f.name for f in value.list.func]
        for name in filter(None, names):
            graph = operation.graph._get_function(name).graph
            found += [*(tensor.op for tensor in graph.outputs), *graph.control_outputs]
    return found
