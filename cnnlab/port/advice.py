"""The table of advice: what a name of TensorFlow 1 becomes in cnnlab, and why.

Each row is a pattern of full names (a regular expression that must match from the start), a kind,
what to write, and why. The first row that matches counts. Names without a row are looked up in
`cnnlab.base.old_names`. The kinds:

change: it does not work in a model of cnnlab, or not on today's TensorFlow.
check: it works, but something about it differs or is easy to get wrong.
drop: cnnlab does it, so the lines can go.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from cnnlab.base.old_names import RENAMED, replacement_of
from cnnlab.port.advice_on_networks import ROWS as ABOUT_NETWORKS
from cnnlab.port.advice_on_training import ROWS as ABOUT_TRAINING


class Advice(NamedTuple):
    """One row: its kind, what to write, and why."""

    kind: str
    to: str
    why: str


TABLE: Final = [
    (re.compile(pattern), Advice(kind, to, why))
    for pattern, kind, to, why in (*ABOUT_NETWORKS, *ABOUT_TRAINING)
]


def advice_for(full: str) -> Advice | None:
    """Return the advice about a full name, as "tf.nn.dropout"; None: it works as it is."""
    for pattern, advice in TABLE:
        if pattern.match(full):
            return advice
    if full.startswith("tf.") and (new := RENAMED.get(full.removeprefix("tf."))):
        return Advice("change", f"tf.{new}", "a name from before TensorFlow 1.0")
    if replacement := replacement_of(full):
        return Advice("change", replacement, "today's TensorFlow has nothing of this name")
    return None
