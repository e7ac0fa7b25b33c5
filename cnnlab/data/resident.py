"""The training set as variables of the graph, on the compute device.

The images never enter the GraphDef: the variables are filled once, through placeholders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cnnlab.base.tf1 import tf
from cnnlab.data.grey_levels import image_type
from cnnlab.data.specs import DatasetSpec

Rows = dict[str, Any]  # some images, and what belongs to each; see `ResidentData.rows`


def label_type(spec: DatasetSpec) -> Any:
    """Return the TensorFlow type of a data set's labels."""
    return tf.int64 if spec.targets == "classes" else tf.float32


def label_shape(spec: DatasetSpec) -> list[int]:
    """Return the shape of the label of one image."""
    return [] if spec.targets == "classes" else [spec.num_classes]


class ResidentData(NamedTuple):
    """The training set as variables of the graph.

    images: uint8 [num_images, height, width, channels]; float32 if the images have a range.
    labels: int64 [num_images]; float32 [num_images, k] if they are no classes.
    weights: float32 [num_images], of the examples; None where there are none.
    class_weights: float32 [num_classes]; None where there are none.
    fill: function of a session and the NumPy arrays in this order; fills the variables.
    """

    images: Any
    labels: Any
    weights: Any
    class_weights: Any
    fill: Callable[..., None]

    def rows(self, indices: Any) -> Rows:
        """Return some images, and what belongs to each.

        Args:
            indices: int64 [batch].

        Returns:
            indices, images [batch, height, width, channels], labels [batch, ...], and weights
            float32 [batch] if there are any.
        """
        return self._rows(indices, tf.gather)

    def rows_by_name(self, indices: Any) -> Rows:
        """Return the same inside a tf.data function, which cannot capture variables; CPU only."""
        return self._rows(indices, gather_by_name)

    def _rows(self, indices: Any, gather: Callable[[Any, Any], Any]) -> Rows:
        rows = {
            "indices": indices,
            "images": gather(self.images, indices),
            "labels": gather(self.labels, indices),
        }
        if self.weights is not None:
            rows["weights"] = gather(self.weights, indices)
        return rows


def gather_by_name(variable: Any, indices: Any) -> Any:
    """Return rows of a resource variable, inside a tf.data function, which cannot capture it."""
    dtype, made_by = variable.dtype.base_dtype, variable.handle.op
    handle = tf.raw_ops.VarHandleOp(
        dtype=dtype,
        shape=variable.shape,
        container=made_by.get_attr("container"),
        shared_name=made_by.get_attr("shared_name"),
    )
    return tf.raw_ops.ResourceGather(resource=handle, indices=indices, dtype=dtype)


def build_resident_data(
    spec: DatasetSpec,
    num_images: int,
    *,
    has_weights: bool = False,
    num_class_weights: int | None = None,
) -> ResidentData:
    """Add variables that hold the training set on the compute device.

    They are local variables, because a Saver of all global variables would write the data into
    every checkpoint. They are filled through placeholders, so that the graph holds no image.

    Args:
        spec: gives shape and type of images and labels.
        num_images: number of training images.
        has_weights: whether each example has a weight.
        num_class_weights: number of classes, if each has a weight.
    """
    kinds: dict[str, tuple[Any, list[int]]] = {
        "images": (image_type(spec.image_range), [num_images, *spec.image_shape]),
        "labels": (label_type(spec), [num_images, *label_shape(spec)]),
    }
    if has_weights:
        kinds["weights"] = (tf.float32, [num_images])
    if num_class_weights is not None:
        kinds["class_weights"] = (tf.float32, [num_class_weights])
    with tf.variable_scope("resident_data", use_resource=True):
        placeholders = {
            name: tf.placeholder(dtype, shape, f"{name}_ph")
            for name, (dtype, shape) in kinds.items()
        }
        local = {"trainable": False, "collections": [tf.GraphKeys.LOCAL_VARIABLES]}
        variables = {
            name: tf.get_variable(name, initializer=placeholder, **local)
            for name, placeholder in placeholders.items()
        }
    fill_op = tf.group(*[variable.initializer for variable in variables.values()])

    def fill(
        session: Any, images: Any, labels: Any, weights: Any = None, class_weights: Any = None
    ) -> None:
        arrays = {
            "images": images,
            "labels": labels,
            "weights": weights,
            "class_weights": class_weights,
        }
        session.run(fill_op, {placeholders[name]: arrays[name] for name in placeholders})

    return ResidentData(
        variables["images"],
        variables["labels"],
        variables.get("weights"),
        variables.get("class_weights"),
        fill,
    )
