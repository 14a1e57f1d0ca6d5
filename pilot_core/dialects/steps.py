"""From an entry to the place in it that a finding is about."""

from __future__ import annotations

from typing import TypeAlias

from pilot_core.document import Mapping, Node, Sequence
from pilot_core.document.words import Where

Steps: TypeAlias = tuple[str | int, ...]


def follow(node: Node, where: Where, steps: Steps) -> tuple[Node, Where]:
    """The node at the end of the steps, or the last one on the way that was written out."""
    for step in steps:
        where = where, step
        if isinstance(node, Mapping) and isinstance(step, str):
            node = node.get(step) or node
        elif isinstance(node, Sequence) and isinstance(step, int):
            node = node.items[step]
    return node, where
