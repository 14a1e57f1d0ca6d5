"""Records: what adapters put, each with the key under which it enters the world."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from pilot_core.model.endpoint import Endpoints
from pilot_core.model.policy import Policy
from pilot_core.model.service import Service
from pilot_core.model.trust import Trust

Record: TypeAlias = Service | Endpoints | Policy | Trust
"""Every kind of record is a frozen struct with `kind`, `key` and `origin`.

A new kind joins this union and gets a table in the world; adapters and the registry need not know.
"""

RecordKey: TypeAlias = tuple[str, str]
"""(kind, name): records with one key, from whatever sources, make up one thing in the world."""


class Claim(msgspec.Struct, frozen=True, gc=False):
    """A record with the registry and the source that put it."""

    registry: str
    source: str
    record: Record

    @property
    def place(self) -> str:
        """`file:line:column` where the record has one, else `registry/source`."""
        return self.record.origin.place or f"{self.registry}/{self.source}"
