"""CIFAR-10 networks in the style of VGG, which grow in four steps.

Recipes: `cifar_vgg1` to `cifar_vgg4`, `cifar_vgg4_modern`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cnnlab import layers

Rate = Annotated[float, Field(ge=0, lt=1)]
Units = Annotated[int, Field(ge=1)]

STAGES = ((64, 64), (128, 128), (256, 256, 256))  # filters of the 3x3 convolutions of each stage


def _step(number: int, num_stages: int, default_dropout: float) -> Any:
    """Return the model function of one step.

    Args:
        number: of the step, in [1, 4].
        num_stages: number of STAGES that the network has, in [1, 3].
        default_dropout: default of its argument `dropout`, in [0, 1).
    """

    def model(
        images: Any,
        num_classes: int,
        *,
        training: bool,
        dropout: Rate = default_dropout,
        batch_norm: bool = False,
        dense_units: Units = 4096,
    ) -> Any:
        use_bias = not batch_norm  # batch norm's shift makes a bias redundant

        def finish(x: Any, name: str) -> Any:
            """Add what follows a hidden layer: batch norm, where asked for, and a relu."""
            if batch_norm:
                x = layers.batch_normalization(
                    x, training=training, momentum=0.9, name=f"{name}_norm"
                )
            return layers.activate(x, "relu", name=f"{name}_relu")

        x = images  # [b, 32, 32, 3]
        for stage, filters_of in enumerate(STAGES[:num_stages], start=1):
            for conv, filters in enumerate(filters_of, start=1):
                name = f"conv{stage}_{conv}"
                x = layers.conv2d(x, filters, 3, name=name, padding="same", use_bias=use_bias)
                x = finish(x, name)
            x = layers.max_pooling2d(x, 2, 2, name=f"pool{stage}")  # half the height and width
        x = layers.flatten(x, name="flatten")  # [b, 16384], [b, 8192] or [b, 4096]
        for name in ("dense1", "dense2"):
            x = finish(layers.dense(x, dense_units, name=name, use_bias=use_bias), name)
            x = layers.dropout(x, dropout, training=training, name=f"{name}_dropout")
        return layers.dense(x, num_classes, name="logits")

    model.__name__ = model.__qualname__ = f"cifar_vgg{number}"
    model.__doc__ = f"""Build step {number}: {num_stages} of 3 stages, and two wide dense layers.

    A stage has two or three 3x3 convolutions and a pooling layer. After Simonyan and Zisserman 2014
    (arXiv 1409.1556, section 2.1).

    The parameters for 32x32x3 images and 10 classes are, with d = 4096*4096 + 4096 = 16,781,312
    for dense2 and 4096*10 + 10 = 40,970 for the logits:
        step 1           83,973,962: convolutions 1,792 + 36,928; dense1 16*16*64*4096 + 4096; d
        step 2           50,640,970: convolutions 38,720 + 73,856 + 147,584; dense1
                         8*8*128*4096 + 4096; d
        steps 3 and 4    35,339,082: convolutions 260,160 + 295,168 + 2*590,080; dense1
                         4*4*256*4096 + 4096; d
    Batch norm replaces each hidden layer's bias by a scale and a shift.

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: whether dropout is active and batch norm uses the batch's statistics.
        dropout: the fraction of elements to drop after each wide dense layer, in [0, 1). Default:
            0.5 in step 4, 0 in the other steps.
        batch_norm: whether to normalize each hidden layer before its activation.
        dense_units: the number of outputs (>= 1) of each wide dense layer.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    return model


cifar_vgg1 = _step(1, 1, 0.0)
cifar_vgg2 = _step(2, 2, 0.0)
cifar_vgg3 = _step(3, 3, 0.0)
cifar_vgg4 = _step(4, 3, 0.5)
