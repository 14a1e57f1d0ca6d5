"""What one client knows of one type: what it asked for, was sent, acknowledged and refused."""

from __future__ import annotations

import enum

import msgspec

from pilot_xds.names import NO_NAMES, Names, Versions
from pilot_xds.resource import Resource
from pilot_xds.snapshot import find
from pilot_xds.steps import Layers, between
from pilot_xds.types import ResourceType

_STALE_AFTER = 5.0
"""Seconds that newer content may wait for the acknowledgement of the older before it shows."""


class SyncState(enum.StrEnum):
    SYNCED = "synced"
    """The client has acknowledged what the server holds now."""
    SENT = "sent"
    """It has been sent, or is about to be, and is not acknowledged yet."""
    NACKED = "nacked"
    """The client refused some of it; it goes on with what it accepted before."""
    STALE = "stale"
    """The server has something newer, and the client does not take it."""


class TypeStatus(msgspec.Struct, frozen=True, gc=False):
    """One cell of `pilot-core ps`; times are on the caller's clock."""

    state: SyncState
    version: str
    acked: str
    error: str
    since: float


class Subscription:
    """The state of one type on one stream."""

    __slots__ = (
        "acked",
        "acked_layers",
        "culprits",
        "error",
        "is_legacy",
        "is_outstanding",
        "is_wildcard",
        "leaving",
        "must_answer",
        "names",
        "nonce",
        "owed",
        "prompted",
        "refused",
        "resume",
        "sent",
        "sent_layers",
        "since",
        "type",
    )

    def __init__(self, type: ResourceType, now: float) -> None:
        self.type = type
        self.names: Names = NO_NAMES
        self.is_wildcard = False
        self.is_legacy = True
        """Nothing has been named on this stream yet, so an empty list means everything."""
        self.sent_layers: Layers | None = None
        """The client has all of these that it asked for, but for what `owed` names."""
        self.acked_layers: Layers | None = None
        self.owed: frozenset[str] = frozenset()
        """Names that the client asked for, and has not been answered."""
        self.prompted: frozenset[str] = frozenset()
        """Names whose content is due without having been asked for."""
        self.leaving: dict[str, Resource | None] = {}
        """Gone from the layers, and still with the client: removed after all additions."""
        self.must_answer = False
        """A response is owed even if there is nothing in it."""
        self.resume: Versions | str | None = None
        """What the client says it has from an earlier stream; looked at when there is a target."""
        self.nonce = ""
        self.sent = ""
        self.acked = ""
        self.is_outstanding = False
        self.refused: Layers | None = None
        self.culprits: dict[str, str] = {}
        self.error = ""
        self.since = now

    def wants(self, name: str) -> bool:
        return self.is_wildcard or name in self.names

    def settle(self, layers: Layers | None, version: str) -> None:
        """The client has all of these, though nothing had to be sent for it."""
        self.sent_layers, self.sent = layers, version
        if not self.is_outstanding:
            self.acked_layers, self.acked = layers, version

    def acknowledge(self, now: float) -> None:
        self.is_outstanding = False
        self.acked, self.acked_layers = self.sent, self.sent_layers
        if not self.culprits:
            self.error = ""
        self.refused = None
        self.since = now

    def refuse(self, error: str, now: float) -> None:
        """The client refused the last response: what it has is what it acknowledged before, and
        perhaps some of this. Resources that it names are not sent again as they are."""
        self.is_outstanding = False
        self.error, self.since = error, now
        self.refused = self.sent_layers
        sent = between(self.acked_layers or (), self.sent_layers or ())
        named = {n: r.version for n, r in sent.changed.items() if n in error}
        self.culprits = self.culprits | named
        self.sent_layers = self.acked_layers

    def is_refused(self, resource: Resource) -> bool:
        """Was this very resource refused by name?"""
        return self.culprits.get(resource.name) == resource.version

    def forgive(self, layers: Layers) -> None:
        """A culprit that has changed, or is gone, is none any more."""
        if self.culprits:
            found = ((n, find(layers, n)) for n in self.culprits)
            current = {n: r.version for n, r in found if r is not None}
            self.culprits = {n: v for n, v in self.culprits.items() if current.get(n) == v}

    def status(self, target: Layers, target_version: str, now: float) -> TypeStatus:
        return TypeStatus(
            self._state(target, target_version, now), self.sent, self.acked, self.error, self.since
        )

    def _state(self, target: Layers, target_version: str, now: float) -> SyncState:
        if self.error:
            return SyncState.NACKED
        if self.acked == target_version and not self.is_outstanding:
            return SyncState.SYNCED
        behind = self.sent_layers != target
        waiting = self.is_outstanding and now - self.since > _STALE_AFTER
        return SyncState.STALE if behind and waiting else SyncState.SENT
