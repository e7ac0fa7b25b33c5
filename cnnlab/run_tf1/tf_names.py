"""Names of `tf` itself that were renamed or changed between TensorFlow 0.5 and 1.15."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, Final

from cnnlab.base.old_names import RENAMED
from cnnlab.base.tf1 import tf
from cnnlab.run_tf1.noted import stands_in
from cnnlab.run_tf1.observing import has_gpu, note_decay
from cnnlab.run_tf1.overlay import Lazy, OldModule, StandIn

VERSION: Final = "1.15.5"  # the last release of version 1
# old name -> today's, with the same arguments
_OF_NN: Final = {
    "rnn": "static_rnn",
    "bidirectional_rnn": "static_bidirectional_rnn",
    "state_saving_rnn": "static_state_saving_rnn",
    "deconv2d": "conv2d_transpose",
}
_OF_IMAGE: Final = {
    "per_image_whitening": "per_image_standardization",
    "random_crop": "random_crop",
}


def root_stand_ins() -> dict[str, Any]:
    """Return what stands in for names of `tf`."""
    renamed = {old: _renamed(new) for old, new in RENAMED.items() if not hasattr(tf, old)}
    return {
        **renamed,
        "__version__": VERSION,
        "VERSION": VERSION,
        "concat": concat,
        "split": split,
        "reverse": reverse,
        "device": device,
        "scalar_summary": StandIn(_summary("ScalarSummary", "values"), "the same operation"),
        "histogram_summary": StandIn(_summary("HistogramSummary", "values"), "the same operation"),
        "image_summary": StandIn(image_summary, "the same operation"),
        "nn": Lazy(lambda: OldModule("tensorflow.nn", _nn_stand_ins(), tf.nn)),
        "train": Lazy(lambda: OldModule("tensorflow.train", _train_stand_ins(), tf.train)),
        "image": Lazy(lambda: OldModule("tensorflow.image", _image_stand_ins(), tf.image)),
        "flags": Lazy(lambda: OldModule("tensorflow.flags", _flag_stand_ins(), tf.flags)),
        "app": Lazy(_app),
        "python_io": tf.python_io,
    }


def _renamed(new: str, root: Any = None) -> Lazy:
    def find() -> Any:
        found: Any = tf if root is None else root
        for part in new.split("."):
            found = getattr(found, part)
        return StandIn(found, f"tf.{new}" if root is None else new)

    return Lazy(find)


# Arguments in the order of version 0.


def concat(values: Any = None, axis: Any = None, name: str = "concat", **old: Any) -> Any:
    """Call `tf.concat(values, axis)`; or in the order of version 0, `tf.concat(axis, values)`."""
    if "concat_dim" in old:
        values, axis = axis if values is None else values, old["concat_dim"]
    elif _is_number(values) and not _is_number(axis):
        stands_in("tf.concat(axis, values)", "tf.concat(values, axis)")
        values, axis = axis, values
    return tf.concat(values, axis, name=name)


def split(
    value: Any = None, num_or_size_splits: Any = None, axis: Any = 0, *more: Any, **named: Any
) -> Any:
    """Call `tf.split(value, number, axis)`; or as in version 0, `tf.split(axis, number, value)`."""
    if "split_dim" in named:
        given = [each for each in (value, num_or_size_splits) if each is not None]
        named.setdefault("num_split", given[0] if given else None)
        value, num_or_size_splits = named.pop("value", given[-1]), named.pop("num_split")
        axis = named.pop("split_dim")
    elif _is_number(value) and not _is_number(axis):
        stands_in("tf.split(axis, number, value)", "tf.split(value, number, axis)")
        value, axis = axis, value
    return tf.split(value, num_or_size_splits, axis, *more, **named)


def reverse(tensor: Any, axis: Any = None, name: str | None = None, dims: Any = None) -> Any:
    """Call `tf.reverse(tensor, axis)`; as in version 0, `axis` may be one bool for each axis."""
    axis = dims if axis is None else axis
    if isinstance(axis, list | tuple) and axis and all(isinstance(each, bool) for each in axis):
        stands_in("tf.reverse(tensor, bools)", "tf.reverse(tensor, axes)")
        axis = [number for number, is_reversed in enumerate(axis) if is_reversed]
    return tf.reverse(tensor, axis, name=name)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Integral)


def device(device_name_or_function: Any) -> Any:
    """Call `tf.device`, and note a GPU that is not there."""
    name = device_name_or_function
    if isinstance(name, str) and "gpu" in name.lower() and not has_gpu():
        stands_in('tf.device("/gpu:0")', "the CPU, because TensorFlow sees no GPU")
    return tf.device(name)


# Summaries, whose tags were tensors.


def _summary(kind: str, values_name: str) -> Callable[..., Any]:
    def summary(tags: Any, values: Any, collections: Any = None, name: Any = None) -> Any:
        make = getattr(tf.raw_ops, kind)
        tag = "tags" if kind == "ScalarSummary" else "tag"
        return _collected(make(**{tag: tags, values_name: values, "name": name}), collections)

    return summary


def image_summary(
    tag: Any, tensor: Any, max_images: int = 3, collections: Any = None, name: Any = None
) -> Any:
    """Add the operation that `tf.image_summary` of version 0 added."""
    made = tf.raw_ops.ImageSummary(tag=tag, tensor=tensor, max_images=max_images, name=name)
    return _collected(made, collections)


def _collected(summary: Any, collections: Any) -> Any:
    for collection in [tf.GraphKeys.SUMMARIES] if collections is None else collections:
        tf.add_to_collection(collection, summary)
    return summary


def _summary_writer(logdir: str, graph: Any = None, *args: Any, **kwargs: Any) -> Any:
    if graph is None:
        graph = kwargs.pop("graph_def", None)
    if graph is not None and not isinstance(graph, tf.Graph):
        writer = tf.summary.FileWriter(logdir, None, *args, **kwargs)
        writer.add_event(tf.Event(graph_def=graph.SerializeToString()))
        return writer
    return tf.summary.FileWriter(logdir, graph, *args, **kwargs)


# Modules of `tf`.


def _train_stand_ins() -> dict[str, Any]:
    return {
        "SummaryWriter": StandIn(_summary_writer, "tf.summary.FileWriter"),
        "exponential_decay": note_decay,
    }


def _nn_stand_ins() -> dict[str, Any]:
    crosses = {
        name: _logits_first(getattr(tf.nn, name))
        for name in (
            "softmax_cross_entropy_with_logits",
            "sparse_softmax_cross_entropy_with_logits",
            "sigmoid_cross_entropy_with_logits",
        )
    }
    renamed = {old: _renamed(new, tf.nn) for old, new in _OF_NN.items() if not hasattr(tf.nn, old)}
    return {**renamed, **crosses}


def _logits_first(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Return a loss that also takes (logits, labels) by position, as in version 0."""

    def with_logits(*args: Any, **kwargs: Any) -> Any:
        if "targets" in kwargs:
            kwargs["labels"] = kwargs.pop("targets")
        if args and args[0] is not None:
            stands_in(f"tf.nn.{loss.__name__}(logits, labels)", "labels= and logits=")
            kwargs.update(zip(("logits", "labels", "name")[: len(args)], args, strict=True))
            args = ()
        return loss(*args, **kwargs)

    with_logits.__name__ = loss.__name__
    return with_logits


def _image_stand_ins() -> dict[str, Any]:
    def resize_images(images: Any, size: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_number(size):  # version 0 had the height and the width as two arguments
            width = kwargs.pop("new_width") if "new_width" in kwargs else args[0]
            size, args = [size, width], args[1:]
        return tf.image.resize_images(images, size, *args, **kwargs)

    return {
        "resize_images": resize_images,
        "per_image_whitening": _renamed("per_image_standardization", tf.image),
        "random_crop": StandIn(tf.random_crop, "tf.random_crop"),
    }


# Flags.


def _flag_stand_ins() -> dict[str, Any]:
    defines = [name for name in dir(tf.flags) if name.startswith("DEFINE_")]
    return {name: _define(getattr(tf.flags, name)) for name in defines}


def _define(define: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that defines a flag, even if a library has taken its name, as --log_dir.

    Until version 1.4 the flags were those of argparse, where no library had any.
    """

    def defined(name: str, default: Any = None, *args: Any, **kwargs: Any) -> Any:
        from absl import flags

        if name in flags.FLAGS:
            owner = str(flags.FLAGS.find_module_defining_flag(name))
            if owner.partition(".")[0] in ("absl", "tensorflow", "tf_keras"):
                delattr(flags.FLAGS, name)
        if define.__name__ == "DEFINE_integer" and isinstance(default, float):
            default = int(default)
        return define(name, default, *args, **kwargs)

    return defined


def _app() -> Any:
    return OldModule("tensorflow.app", {"flags": Lazy(_flags)}, tf.app)


def _flags() -> Any:
    import sys

    return sys.modules["tensorflow"].flags
