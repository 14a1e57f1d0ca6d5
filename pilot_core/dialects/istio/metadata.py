"""What every object of a platform says of itself, as far as it means something here."""

from __future__ import annotations

import msgspec

from pilot_core.document import Decoder, Node
from pilot_core.document import Mapping as Tree


class Metadata(msgspec.Struct, frozen=True):
    name: str
    namespace: str = "default"


def read(node: Node, decoder: Decoder) -> Metadata:
    """Platforms put many keys there: only two of them mean something here."""
    known = {
        key: entry
        for key, entry in (node.entries.items() if isinstance(node, Tree) else ())
        if key in ("name", "namespace")
    }
    found = decoder.decode(Tree(known, node.line, node.column), Metadata, ((), "metadata"))
    return found or Metadata("")
