"""What one client knows of one type: what it asked for, was told, acknowledged and refused.

Rule 1: `told` are the layers that the client has heard of: it has all of them that it asked for,
but for what is owed, in doubt, or leaving.
Rule 2: what has been sent and not been acknowledged is in flight. A refusal puts all of it in
doubt: clients keep the good parts of a response that they refuse (gRFC A46), or do not.
Rule 3: resources that a refusal is about, by name or because they were alone, are culprits: they
are not sent again as they are. The others in doubt are sent with whatever is sent next.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterable, Mapping

import msgspec

from pilot_xds.names import NO_NAMES, NOT_SPELLED, Names, Spelling, Versions
from pilot_xds.resource import Resource
from pilot_xds.snapshot import find
from pilot_xds.steps import Layers
from pilot_xds.types import ResourceType

_STALE_AFTER = 5.0
"""Seconds that newer content may wait for the acknowledgement of the older before it shows."""
_SILENT_AFTER = 20.0
"""Seconds that an acknowledgement may take: Envoy withholds that of clusters for up to 15 s."""
_NO_RESOURCES: Mapping[str, Resource | None] = {}
_NO_NAMES: frozenset[str] = frozenset()
_WORD = re.compile(r"[^\s,;'\"`(){}\[\]<>]+")


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


class Culprit(msgspec.Struct, frozen=True, gc=False):
    """A resource that was refused, and what the client has accepted under its name before."""

    version: str
    accepted: Resource | None


class Subscription:
    """The state of one type on one stream."""

    __slots__ = (
        "accepted",
        "acked",
        "culprits",
        "doubt",
        "error",
        "flight",
        "has_resumed",
        "is_legacy",
        "is_outstanding",
        "is_wildcard",
        "leaving",
        "must_answer",
        "names",
        "nonce",
        "owed",
        "owes_all",
        "prompted",
        "resume",
        "sent",
        "since",
        "spelling",
        "told",
        "type",
    )

    def __init__(self, type: ResourceType, now: float) -> None:
        self.type = type
        self.names: Names = NO_NAMES
        self.spelling: Spelling = NOT_SPELLED
        self.is_wildcard = False
        self.is_legacy = True
        """Nothing has been named on this stream yet, so an empty list means everything."""
        self.told: Layers | None = None
        self.accepted: Layers = ()
        """What was told when the client last acknowledged."""
        self.owed: frozenset[str] = _NO_NAMES
        """Names that the client asked for, and has not been answered."""
        self.owes_all = False
        """The client asked for everything, and has not been answered."""
        self.prompted: frozenset[str] = _NO_NAMES
        """Names whose content is due without having been asked for."""
        self.must_answer = False
        """A response is owed even if there is nothing in it."""
        self.leaving: Mapping[str, Resource | None] = _NO_RESOURCES
        """Gone from the layers, and still with the client: removed after all additions."""
        self.resume: Versions | str | None = None
        """What the client says it has from an earlier stream; looked at when there is a target."""
        self.has_resumed = False
        self.nonce = ""
        self.sent = ""
        self.acked = ""
        self.is_outstanding = False
        self.flight: tuple[Collection[str], ...] = ()
        self.doubt: tuple[Collection[str], ...] = ()
        self.culprits: Mapping[str, Culprit] = {}
        self.error = ""
        self.since = now

    @property
    def is_asked(self) -> bool:
        """Is there something to say even if nothing has changed?"""
        return self.must_answer or self.owes_all or bool(self.owed) or bool(self.prompted)

    def wants(self, name: str) -> bool:
        return self.is_wildcard or name in self.names

    def settle(self, version: str) -> None:
        """The client has all that it was told of, though nothing had to be sent for it."""
        if self.doubt:
            return
        self.sent = version
        if not self.is_outstanding:
            self.acked, self.accepted = version, self.told or ()
            if not self.culprits:
                self.error = ""

    def acknowledge(self, now: float) -> None:
        self.is_outstanding = False
        self.flight = ()
        self.acked, self.accepted, self.since = self.sent, self.told or (), now
        if not self.culprits and not self.doubt:
            self.error = ""

    def refuse(self, error: str, now: float) -> None:
        """The client refused a response, perhaps one before the last: what it has of all that is
        in flight is not known any more."""
        blamed = self._blamed(error)
        if blamed:
            self.culprits = {**self.culprits, **blamed}
        self.error, self.since = error, now
        # The same step may be refused again and again; it is in doubt once.
        self.doubt = tuple({id(part): part for part in self.doubt + self.flight}.values())
        self.flight = ()

    def _blamed(self, error: str) -> dict[str, Culprit]:
        """The resources in flight that the client's words name, or the only one in flight."""
        names = [n for n in _words(error) if any(n in part for part in self.flight)]
        if not names and sum(map(len, self.flight)) == 1:
            names = [name for part in self.flight for name in part]
        told = ((name, find(self.told or (), name)) for name in names)
        return {n: Culprit(r.version, self._accepted(n)) for n, r in told if r is not None}

    def _accepted(self, name: str) -> Resource | None:
        earlier = self.culprits.get(name)
        return earlier.accepted if earlier else find(self.accepted, name)

    def is_refused(self, resource: Resource) -> bool:
        """Was this very resource refused?"""
        culprit = self.culprits.get(resource.name)
        return culprit is not None and culprit.version == resource.version

    def acceptable(self, resource: Resource) -> Resource | None:
        """The resource or, where it was refused, what was accepted under its name before."""
        return self.culprits[resource.name].accepted if self.is_refused(resource) else resource

    def taken_of(self, resource: Resource) -> Resource | None:
        """The resource or, where it was refused or may have been, what was accepted before."""
        if any(resource.name in part for part in self.doubt):
            return self._accepted(resource.name)
        return self.acceptable(resource)

    def forgive(self, layers: Layers) -> None:
        """A culprit that has changed, or is gone, is none any more."""
        if self.culprits:
            found = ((name, find(layers, name)) for name in self.culprits)
            current = {name: r.version for name, r in found if r is not None}
            self.culprits = {n: c for n, c in self.culprits.items() if current.get(n) == c.version}

    def pardon(self, names: Collection[str]) -> None:
        """These are sent again as they are, because the client asks for them."""
        self.culprits = {n: c for n, c in self.culprits.items() if n not in names}

    def leave(self, names: Mapping[str, Resource | None]) -> None:
        """These are to be removed later."""
        if names:
            self.leaving = {**self.leaving, **names}

    def stay(self, names: Iterable[str]) -> None:
        """These are there again, or are about to be removed."""
        if self.leaving:
            back = frozenset(names)
            self.leaving = {n: r for n, r in self.leaving.items() if n not in back}

    def status(self, target: Layers | None, version: str, now: float) -> TypeStatus:
        state = self._state(target, version, now)
        return TypeStatus(state, self.sent, self.acked, self.error, self.since)

    def _state(self, target: Layers | None, version: str, now: float) -> SyncState:
        if self.error:
            return SyncState.NACKED
        if self.is_outstanding:
            patience = _SILENT_AFTER if self.told == target else _STALE_AFTER
            return SyncState.STALE if now - self.since > patience else SyncState.SENT
        is_synced = target is not None and self.acked == version and not self.leaving
        return SyncState.SYNCED if is_synced else SyncState.SENT


def _words(text: str) -> Iterable[str]:
    """What may be names in a client's error message."""
    for word in _WORD.findall(text):
        yield word
        if word[-1] in ".:":
            yield word.rstrip(".:")
