"""Thousands of ADS clients in one process, each behaving like an Envoy 1.40.

What many clients receive in the same bytes is decoded once. A client subscribes to everything
(CDS, then EDS of all clusters, LDS, then RDS), acknowledges each response at once, and keeps the
versions of what it has, for when it comes back.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator

from http2 import Http2Stream

from pilot_xds.protos import StructMessage
from pilot_xds.wire import field

_TYPES = "type.googleapis.com/envoy.config."
CDS = f"{_TYPES}cluster.v3.Cluster"
EDS = f"{_TYPES}endpoint.v3.ClusterLoadAssignment"
LDS = f"{_TYPES}listener.v3.Listener"
RDS = f"{_TYPES}route.v3.RouteConfiguration"
ALL = (CDS, EDS, LDS, RDS)
_SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
_EXTENSIONS = 516


def envoy_node(
    node_id: str,
    *,
    namespace: str = "default",
    size: int = _EXTENSIONS,
    metadata: dict[str, str] | None = None,
) -> bytes:
    """A node as a stock Envoy sends it: mostly a list of 516 extensions, about 60 KB."""
    said = {"fields": {key: {"string_value": text} for key, text in (metadata or {}).items()}}
    extension = (
        field(1, b"envoy.filters.http.some_filter_of_many")
        + field(2, b"envoy.filters.http")
        + field(5, b"envoy.extensions.filters.http.some_filter_of_many.v3.SomeFilterOfMany")
    )
    return b"".join(
        (
            field(1, node_id.encode()),
            field(2, namespace.encode()),
            field(3, StructMessage(**said).SerializeToString()),
            field(6, b"envoy"),
            field(9, extension) * size,
        )
    )


class Decoded:
    """One response: type, nonce, version, and what is in it."""

    __slots__ = ("nonce", "removed", "resources", "routes", "type_url", "version")

    def __init__(self, data: bytes, is_delta: bool) -> None:
        self.resources: dict[str, str] = {}
        self.removed: list[str] = []
        self.type_url = self.nonce = self.version = ""
        for number, value in _fields(data):
            if number == 1:
                self.version = value.decode()
            elif number == 2:
                self._resource(value, is_delta)
            elif number == 4:
                self.type_url = value.decode()
            elif number == 5:
                self.nonce = value.decode()
            elif number == 6 and is_delta:
                self.removed.append(value.decode())
        self.routes = b"outbound-http" in data and self.type_url == LDS

    def _resource(self, value: bytes, is_delta: bool) -> None:
        if is_delta:
            said = dict(_fields(value))
            self.resources[said[3].decode()] = said[1].decode()
            return
        message = dict(_first_fields(dict(_fields(value))[2]))
        self.resources[message.get(1, b"").decode(errors="replace")] = ""


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 2:
            length, at = _varint(data, at)
            yield tag >> 3, data[at : at + length]
            at += length
        elif tag & 7 == 0:
            _, at = _varint(data, at)
        else:
            at += 8 if tag & 7 == 1 else 4


def _first_fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    for found in _fields(data):
        yield found
        return


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7


class Sent:
    """What a server has sent, for one that does nothing but send the same."""

    def __init__(self) -> None:
        self.largest: dict[str, bytes] = {}
        """The largest message of each type."""
        self.latest: dict[str, bytes] = {}
        self.endpoint: tuple[str, bytes] = ("", b"")
        """A marker, and the message that holds it."""
        self.service: tuple[str, dict[str, bytes]] = ("", {})
        """A hostname, and the messages that tell of it, by type."""

    def note(self, type_url: str, data: bytes) -> None:
        self.latest[type_url] = data
        if len(data) > len(self.largest.get(type_url, b"")):
            self.largest[type_url] = data


class Shared:
    """What the clients of one run share: decoded responses and encoded requests."""

    def __init__(self) -> None:
        self.sent = Sent()
        self.decoded: dict[bytes, Decoded] = {}
        self._names: dict[str, bytes] = {}
        self._versions: dict[tuple[str, str], bytes] = {}
        self.marker = b""
        self.seen_at: list[float] = []

    def decode(self, data: bytes, is_delta: bool) -> Decoded:
        found = self.decoded.get(data)
        if found is None:
            if len(self.decoded) > 500:
                self.decoded.clear()
            found = self.decoded[data] = Decoded(data, is_delta)
            self.sent.note(found.type_url, data)
        return found

    def name_field(self, name: str) -> bytes:
        found = self._names.get(name)
        if found is None:
            found = self._names[name] = field(3, name.encode())
        return found

    def version_field(self, name: str, version: str) -> bytes:
        """One entry of `initial_resource_versions`."""
        found = self._versions.get((name, version))
        if found is None:
            entry = field(1, name.encode()) + field(2, version.encode())
            found = self._versions[name, version] = field(5, entry)
        return found


class Client:
    """One Envoy, as far as the control plane can see."""

    def __init__(
        self,
        shared: Shared,
        node: bytes,
        *,
        is_delta: bool = True,
        nacks: bool = False,
        seed: int = 0,
        versions: dict[str, dict[str, str]] | None = None,
    ) -> None:
        self._shared, self._node = shared, node
        # Every Envoy has an order of its own, that of its hash tables: nothing that it says about
        # many resources is said in the same bytes by another one.
        self._order = random.Random(seed)
        self._said: dict[str, bytes] = {}
        self.is_delta, self._nacks = is_delta, nacks
        self._known = versions or {}
        """What it says it has from before, by type."""
        self.has: dict[str, dict[str, str]] = {kind: {} for kind in ALL}
        if versions:
            self.has = {kind: dict(versions.get(kind, {})) for kind in ALL}
        self.names: dict[str, tuple[str, ...]] = {}
        self.versions: dict[str, str] = {}
        self.nonces: dict[str, str] = {}
        self.answered: set[str] = set()
        self.messages = 0
        self.resources = 0
        self.repeated = 0
        """Resources received again in a version that it had."""
        self.ended = ""
        self.ready = asyncio.Event()
        method = "DeltaAggregatedResources" if is_delta else "StreamAggregatedResources"
        self.http = Http2Stream(_SERVICE + method, self._opened, self._received, self._ended)

    def _opened(self) -> None:
        self._ask(CDS, node=self._node)
        if self._known:
            names = tuple(self._known.get(EDS, ()))
            self._ask(EDS, names)
            self._ask(LDS)
            self._ask(RDS, tuple(self._known.get(RDS, ())))

    def _ended(self, why: str) -> None:
        self.ended = why
        self.ready.set()

    def _ask(self, kind: str, names: tuple[str, ...] = (), node: bytes = b"") -> None:
        """The first request of a type."""
        self.names[kind] = names
        said = b"".join(field(1 if self.is_delta else 2, n) for n in (node,) if n)
        subscription = self._said[kind] = self._shuffled(names)
        if self.is_delta:
            self.http.send(said + field(2, kind.encode()) + subscription + self._has(kind))
        else:
            self.http.send(said + subscription + field(4, kind.encode()))

    def _shuffled(self, names: tuple[str, ...]) -> bytes:
        fields = [self._shared.name_field(n) for n in names]
        self._order.shuffle(fields)
        return b"".join(fields)

    def _has(self, kind: str) -> bytes:
        fields = [self._shared.version_field(n, v) for n, v in self._known.get(kind, {}).items()]
        self._order.shuffle(fields)
        return b"".join(fields)

    def _received(self, data: bytes) -> None:
        shared = self._shared
        if shared.marker and shared.marker in data:
            shared.seen_at.append(time.monotonic())
        response = shared.decode(data, self.is_delta)
        self.messages += 1
        self.nonces[response.type_url] = response.nonce
        self._keep(response)
        self._acknowledge(response)
        self.answered.add(response.type_url)
        self._go_on(response)

    def _keep(self, response: Decoded) -> None:
        self.resources += len(response.resources)
        has = self.has[response.type_url]
        if len(response.resources) > 100 and not has:
            # A shared first answer: nothing is compared, and the dictionary is shared until it
            # has to change.
            self.has[response.type_url] = response.resources
            return
        if response.resources or response.removed:
            has = self.has[response.type_url] = dict(has)
        for name, version in response.resources.items():
            self.repeated += bool(version) and has.get(name) == version
            has[name] = version
        for name in response.removed:
            has.pop(name, None)

    def _acknowledge(self, response: Decoded) -> None:
        kind = response.type_url.encode()
        error = field(7 if self.is_delta else 6, field(2, b"refused")) if self._nacks else b""
        if self.is_delta:
            self.http.send(field(2, kind) + field(6, response.nonce.encode()) + error)
            return
        version = self.versions.get(response.type_url, "") if self._nacks else response.version
        self.versions[response.type_url] = version
        names = self._said.get(response.type_url, b"")
        said = field(1, version.encode()) + names + field(4, kind)
        self.http.send(said + field(5, response.nonce.encode()) + error)

    def _go_on(self, response: Decoded) -> None:
        if response.type_url == CDS:
            self._follow_clusters(response)
        elif response.type_url == LDS and response.routes and RDS not in self.names:
            self._ask(RDS, ("outbound-http",))
        if not self.ready.is_set() and self.answered >= set(ALL):
            self.ready.set()

    def _follow_clusters(self, response: Decoded) -> None:
        clusters = [n for n in response.resources if n.startswith("outbound|")]
        if EDS not in self.names:
            self._ask(EDS, tuple(clusters))
            self._ask(LDS)
            return
        known = set(self.names[EDS])
        new = tuple(n for n in clusters if n not in known)
        if not new:
            return
        self.names[EDS] += new
        if self.is_delta:
            self.http.send(field(2, EDS.encode()) + self._shuffled(new))
        else:
            names = self._said[EDS] = self._shuffled(self.names[EDS])
            version = field(1, self.versions.get(EDS, "").encode())
            nonce = field(5, self.nonces.get(EDS, "").encode())
            self.http.send(version + names + field(4, EDS.encode()) + nonce)


async def connect(address: str, clients: list[Client], *, at_once: int = 1_000) -> None:
    """Open a connection for each; raises OSError where one is refused."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    for start in range(0, len(clients), at_once):
        await asyncio.gather(
            *(
                loop.create_connection(lambda c=c: c.http, host, int(port))  # type: ignore[misc]
                for c in clients[start : start + at_once]
            )
        )


__all__ = ["ALL", "CDS", "EDS", "LDS", "RDS", "Client", "Sent", "Shared", "connect", "envoy_node"]
