"""Arguments that several networks take."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

# What the first layers are made for: images of 224 and more, or of about 32.
Stem = Literal["imagenet", "cifar"]
DataFormat = Literal["channels_last", "channels_first"]
Rate = Annotated[float, Field(ge=0, lt=1)]
Units = Annotated[int, Field(ge=1)]
