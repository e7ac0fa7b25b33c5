"""Types of arguments that several models take.

`cnnlab.config.arguments` checks `--model_options` against these annotations.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

# What the first layers are made for: images of at least 224x224 pixels, or of about 32x32.
Stem = Literal["imagenet", "cifar"]
DataFormat = Literal["channels_last", "channels_first"]
# Dropout: the fraction of elements to drop.
Rate = Annotated[float, Field(ge=0, lt=1)]
# The number of outputs of a dense layer.
Units = Annotated[int, Field(ge=1)]
