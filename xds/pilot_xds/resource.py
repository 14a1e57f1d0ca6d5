"""A resource: a name, finished bytes, and the hash of these bytes as its version.

Versions are content hashes, so they are equal on every replica and after every restart, and a
proxy that comes back gets only what differs.
"""

from __future__ import annotations

import hashlib

from pilot_xds.types import Variant
from pilot_xds.wire import field

_VERSION_BYTES = 8


class Resource:
    """`any` is the serialized `google.protobuf.Any` that holds the message."""

    __slots__ = ("__weakref__", "any", "digest", "name", "version")

    def __init__(self, name: str, any: bytes) -> None:
        hashed = hashlib.blake2b(any, digest_size=_VERSION_BYTES, key=b"").digest()
        self.name, self.any = name, any
        self.version = hashed.hex()
        self.digest = int.from_bytes(
            hashlib.blake2b(hashed + name.encode(), digest_size=_VERSION_BYTES).digest(), "big"
        )
        """What the resource adds to its layer's digest."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Resource):
            return NotImplemented
        return self.version == other.version and self.name == other.name

    def __hash__(self) -> int:
        return self.digest

    def __repr__(self) -> str:
        return f"Resource({self.name!r}, version={self.version})"

    def body(self, variant: Variant) -> bytes:
        """The `resources` field of a response: in delta with the name and version around it."""
        if variant is Variant.SOTW:
            return field(2, self.any)
        inner = field(3, self.name.encode()) + field(1, self.version.encode())
        return field(2, inner + field(2, self.any))
