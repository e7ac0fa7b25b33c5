"""The training set as variables of the graph, on the compute device.

The images never enter the GraphDef: the variables are filled once, through placeholders. Images
that are not in memory are read row by row instead, and have no variable.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from cnnlab.base.tf1 import is_on_cpu, tf
from cnnlab.data.grey_levels import image_type
from cnnlab.data.own_rows import OwnRows
from cnnlab.data.row_reader import RowReader
from cnnlab.data.specs import DatasetSpec

Rows = dict[str, Any]  # some images, and what belongs to each; see `ResidentData.rows`
Kind = tuple[Any, list[int]]  # the type, and the shape of one row


def label_type(spec: DatasetSpec) -> Any:
    """Return the TensorFlow type of a data set's labels."""
    return tf.int64 if spec.targets == "classes" else tf.float32


def label_shape(spec: DatasetSpec) -> list[int]:
    """Return the shape of the label of one image."""
    return [] if spec.targets == "classes" else [spec.num_classes]


class ResidentData(NamedTuple):
    """The training set in the graph.

    kinds: name of a column to its type and the shape of one row. The columns are images (uint8;
        float32 if they have a range), labels (int64; float32 [k] if they are no classes), and
        weights (float32) if the examples have weights.
    variables: name of a column that is resident to its variable [num_images, ...].
    reader: reads the other columns; None: there are none.
    num_images: number of training images.
    class_weights: float32 [num_classes]; None where there are none.
    fill: function of a session and the NumPy arrays in this order; fills the variables.
    """

    kinds: dict[str, Kind]
    variables: dict[str, Any]
    reader: RowReader | None
    num_images: int
    class_weights: Any
    fill: Callable[..., None]

    @property
    def is_on_cpu(self) -> bool:
        """Whether a tf.data function can make the rows; else they are gathered on the device."""
        return all(is_on_cpu(variable.handle) for variable in self.variables.values())

    def rows(self, indices: Any, own: OwnRows | None = None) -> Rows:
        """Return some images, and what belongs to each; all must be resident.

        Args:
            indices: int64 [batch].
            own: the images of the batch that are returned; None: all.

        Returns:
            indices, images [batch, height, width, channels], labels [batch, ...], and weights
            float32 [batch] if there are any.
        """
        return self._rows(indices, tf.gather, own)

    def rows_by_name(self, indices: Any, own: OwnRows | None = None) -> Rows:
        """Return the same inside a tf.data function, which cannot capture variables; CPU only."""
        rows = self._rows(indices, gather_by_name, own)
        if self.reader is None:
            return rows
        if own is None or list(self.reader.kinds) == ["images"]:
            return rows | self.reader.columns(indices if own is None else own.of(indices))
        columns = self.reader.columns(indices)  # images and labels are read together
        return rows | columns | {"images": own.of(columns["images"])}

    def _rows(
        self, indices: Any, gather: Callable[[Any, Any], Any], own: OwnRows | None = None
    ) -> Rows:
        places = {"images": indices if own is None else own.of(indices)}
        columns = {
            name: gather(variable, places.get(name, indices))
            for name, variable in self.variables.items()
        }
        return {"indices": indices, **columns}


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
    read: Collection[str] = (),
) -> ResidentData:
    """Add variables that hold the training set on the compute device.

    They are local variables, because a Saver of all global variables would write the data into
    every checkpoint. They are filled through placeholders, so that the graph holds no image.

    Args:
        spec: gives shape and type of images and labels.
        num_images: number of training images.
        has_weights: whether each example has a weight.
        num_class_weights: number of classes, if each has a weight.
        read: the columns that are read row by row.
    """
    kinds: dict[str, Kind] = {
        "images": (image_type(spec.image_range), list(spec.image_shape)),
        "labels": (label_type(spec), label_shape(spec)),
    }
    if has_weights:
        kinds["weights"] = (tf.float32, [])
    held = {
        name: (dtype, [num_images, *shape])
        for name, (dtype, shape) in kinds.items()
        if name not in read
    }
    if num_class_weights is not None:
        held["class_weights"] = (tf.float32, [num_class_weights])
    # A GPU's memory would be of no use to rows that are read on the CPU.
    place = tf.device("/CPU:0") if read else contextlib.nullcontext()
    with place, tf.variable_scope("resident_data", use_resource=True):
        placeholders = {
            name: tf.placeholder(dtype, shape, f"{name}_ph")
            for name, (dtype, shape) in held.items()
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
        kinds,
        {name: variables[name] for name in kinds if name in variables},
        RowReader({name: kinds[name] for name in read}) if read else None,
        num_images,
        variables.get("class_weights"),
        fill,
    )
