"""One connected proxy: its stream, who it is, and the cohort it belongs to.

A connection hears requests and hands out responses; it knows neither gRPC nor sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pilot_core.model import Proxy
from pilot_xds import node
from pilot_xds.requests import Heard
from pilot_xds.snapshot import Snapshot
from pilot_xds.stream import Response, Stream
from pilot_xds.types import ResourceType, Variant
from pilot_xds.wire import Malformed, Reader

if TYPE_CHECKING:
    from pilot_xds.fleet import Cohort, Fleet


def _nothing() -> None:
    """Somebody asks without being told."""


class Connection:
    """Made for every stream. `on_work` is called when there may be something to write: once, until
    `next` is asked."""

    __slots__ = (
        "__weakref__",
        "_fleet",
        "_has_work",
        "_on_work",
        "changed_at",
        "cohort",
        "connected_since",
        "identity",
        "is_denied",
        "peer",
        "proxy",
        "refused",
        "stream",
        "writing_since",
    )

    def __init__(
        self,
        fleet: Fleet,
        variant: Variant,
        reader: Reader,
        peer: str,
        *,
        identity: str = "",
        on_work: Callable[[], None] = _nothing,
    ) -> None:
        """`identity` is the SPIFFE id that the client has proved; empty where it had not to."""
        self.stream = Stream(variant, reader)
        self.proxy: Proxy | None = None
        self.cohort: Cohort | None = None
        self.peer = peer
        self.identity = identity
        self.is_denied = False
        """Its stream is to end: it is not any more who it says."""
        self.connected_since = 0.0
        self.changed_at: float | None = None
        """When the content came up that the proxy does not have yet."""
        self.writing_since: float | None = None
        """When the response was handed out that is being written."""
        self.refused: frozenset[ResourceType] = frozenset()
        self._fleet = fleet
        self._has_work = False
        self._on_work = on_work

    @property
    def name(self) -> str:
        """The id of its node; empty until it has said one."""
        return self.proxy.id if self.proxy else ""

    def give(self, snapshot: Snapshot, *, changed_at: float | None = None) -> None:
        """This is what the proxy is to have from now on."""
        self.stream.update(snapshot)
        if self.changed_at is None:
            self.changed_at = changed_at
        self.wake()

    def receive(self, data: bytes) -> Heard:
        """Take one request. Raises Malformed, and Impostor where its node is not the client's."""
        heard, said = self.stream.receive(data, self._fleet.now())
        if self.proxy is None:
            if said is None:
                raise Malformed("the first request of a stream says no node")
            said_to_be = node.read(said)
            self._fleet.admit(said_to_be, self.identity, self.peer)
            self.proxy = said_to_be
            self._fleet.join(self)
        has_work = self.stream.has_work()
        self._fleet.heard(self, heard, has_work=has_work)
        if has_work:
            self.wake()
        return heard

    def next(self) -> Response | None:
        """The next response to write, which counts as sent; the one before has been written."""
        self._has_work = False
        now = self._fleet.now()
        response = self.stream.next(now)
        self.writing_since = None if response is None else now
        if response is not None:
            self._fleet.sent(response)
        return response

    def is_done(self) -> bool:
        """The last response has been taken. Is there certainly nothing more to write?"""
        if self.stream.has_work():
            return False
        self.writing_since = None
        return True

    def wake(self) -> None:
        """There may be something to write."""
        if not self._has_work:
            self._has_work = True
            self._on_work()

    def deny(self) -> None:
        """Nothing more for it: its stream is to end."""
        self.is_denied = True
        self.wake()

    def remind(self, now: float) -> None:
        """Wake the writer if something that was held back for a while is not any more."""
        if self.stream.retry_at is not None and now >= self.stream.retry_at:
            self.wake()
