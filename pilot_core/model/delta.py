"""A delta: which keys of the world differ from one snapshot to the next."""

from __future__ import annotations

import msgspec

from pilot_core.model.record import RecordKey


class Delta(msgspec.Struct, frozen=True, gc=False):
    """Names only; the values are in the two worlds.

    `addresses` are those whose answer to "who is at this address?" may have changed.
    """

    services: frozenset[str] = frozenset()
    endpoints: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    policies: frozenset[RecordKey] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.services or self.endpoints or self.policies)

    @property
    def hostnames(self) -> frozenset[str]:
        return self.services | self.endpoints

    def merge(self, later: Delta) -> Delta:
        """What differs after both."""
        return Delta(
            self.services | later.services,
            self.endpoints | later.endpoints,
            self.addresses | later.addresses,
            self.policies | later.policies,
        )
