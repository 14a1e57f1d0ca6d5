"""What is measured of one daemon with N proxies over S services: server CPU, time, bytes, memory.

Server CPU is that of its process, from just before the change until half a second after everybody
has seen it; times are from the rename of the changed file to the message at a client.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from process import Process
from server import CHANGING, Server, service
from xds_client import EDS, Client, Shared, connect, envoy_node

CHANGES = 7
_SETTLE = 0.5
_PATIENCE = 120.0
_IDLE = 10.0
_QUIET = 8.0
"""Until what a storm has left behind is given back."""

Then: TypeAlias = Callable[["Fleet"], Awaitable[dict[str, float | str]]]


class Fleet:
    """N clients on one server, and the row of figures that they make."""

    def __init__(
        self,
        server: Process,
        services: int,
        proxies: int,
        *,
        is_delta: bool,
        has_agents: bool = False,
    ) -> None:
        self.server, self.services, self.is_delta = server, services, is_delta
        self._metadata = {"PILOT_TLS": "agent"} if has_agents else {}
        self.shared = Shared()
        self.clients = [self._client(n) for n in range(proxies)]
        variant = ("delta" if is_delta else "sotw") + (" tls" if has_agents else "")
        self.row: dict[str, float | str] = {"S": services, "N": proxies, "variant": variant}
        self._busy = 0.0

    def _client(
        self, number: int, versions: dict[str, dict[str, str]] | None = None, *, nacks: bool = False
    ) -> Client:
        address = f"172.{16 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
        node_id = f"sidecar~{address}~w{number}.default~bench"
        node = envoy_node(node_id, metadata=self._metadata)
        return Client(
            self.shared, node, is_delta=self.is_delta, seed=number, versions=versions, nacks=nacks
        )

    async def storm(self) -> None:
        """Everybody connects at once; memory is what the server has grown by when it is quiet."""
        rss, cpu, started, own = self._before()
        await connect(self.server.xds, self.clients)
        waits = (client.ready.wait() for client in self.clients)
        await asyncio.wait_for(asyncio.gather(*waits), _PATIENCE)
        self.row["storm_wall"] = time.monotonic() - started
        self.row["storm_admitted"] = sum(not c.ended for c in self.clients)
        self.row["storm_cpu"] = self.server.cpu() - cpu
        self._own(own, started)
        await asyncio.sleep(_QUIET)
        self.row["kb_per_proxy"] = (self.server.rss() - rss) * 1024 / len(self.clients)

    async def endpoint_changes(self) -> None:
        """One endpoint of one service changes, several times; medians."""
        addresses = [f"10.251.{self.services % 251}.{n + 1}" for n in range(CHANGES)]
        await self.changes([(a, [service(CHANGING, [a])]) for a in addresses])
        self.shared.sent.endpoint = (addresses[-1], self.shared.sent.latest[EDS])

    async def changes(self, changes: Sequence[tuple[str, list[Any]]]) -> None:
        """Several changes of one endpoint: a marker each, and what is written."""
        costs, times, sizes = [], [], []
        for marker, entries in changes:
            cost, seen, size = await self.change(marker, entries)
            costs.append(cost)
            times.append(seen)
            sizes.append(size)
        middle = sorted(times, key=lambda seen: seen[int(len(seen) * 0.99) - 1])[len(times) // 2]
        self.row["endpoint_cpu"] = statistics.median(costs)
        self.row["endpoint_p50_ms"] = statistics.median(middle) * 1e3
        self.row["endpoint_p99_ms"] = middle[int(len(middle) * 0.99) - 1] * 1e3
        self.row["endpoint_bytes"] = statistics.median(sizes)

    async def services_added(self) -> None:
        """One service more, three times; the median."""
        costs, sizes = [], []
        added = [service(CHANGING, ["10.252.0.1"])]
        for number in range(3):
            hostname = f"added{number}.bench.mesh"
            added.append(service(hostname, [f"10.252.1.{number + 1}"]))
            # Its cluster, its endpoints twice (behind it, and when asked for), the routes to it.
            cost, _, size = await self.change(hostname, added, times=4 if self.is_delta else 3)
            costs.append(cost)
            sizes.append(size)
        self.shared.sent.service = (hostname, dict(self.shared.sent.latest))
        self.row["service_cpu"] = statistics.median(costs)
        self.row["service_bytes"] = statistics.median(sizes)

    async def nothing_new(self) -> None:
        """The same file again, and a reload: nobody may hear of it."""
        await asyncio.sleep(_SETTLE)
        assert isinstance(self.server, Server)
        self.server.write("changing.yaml", [service(CHANGING, ["10.252.0.1"])])
        before = await self._quiet()
        self.server.write("changing.yaml", [service(CHANGING, ["10.252.0.1"])])
        self.server.reload()
        await asyncio.sleep(2)
        self.row["equal_pushes"] = sum(c.messages for c in self.clients) - before

    async def _quiet(self) -> int:
        """Return the number of messages so far, when for a while there has been none."""
        now, before = sum(client.messages for client in self.clients), -1
        while now != before:
            await asyncio.sleep(2)
            now, before = sum(client.messages for client in self.clients), now
        return now

    async def idle(self) -> None:
        cpu = self.server.cpu()
        await asyncio.sleep(_IDLE)
        self.row["idle_percent"] = (self.server.cpu() - cpu) / _IDLE * 100

    async def restart(self, has: dict[str, dict[str, str]]) -> None:
        """The server is killed and starts again; everybody comes back with what it knows."""
        await self.server.kill()
        await self.server.start()
        if isinstance(self.server, Server):
            await self.server.ready()
        self.clients = [self._client(n, has) for n in range(len(self.clients))]
        _, cpu, _, _ = self._before()
        await connect(self.server.xds, self.clients)
        await asyncio.sleep(4)
        self.row["restart_cpu"] = self.server.cpu() - cpu
        self.row["restart_repeated"] = sum(c.repeated for c in self.clients)
        self.row["restart_resources"] = sum(c.resources for c in self.clients)

    async def with_sleepers(self) -> None:
        """One client in ten stops reading: the others see changes all the same."""
        sleepers = self.clients[::10]
        for client in sleepers:
            client.http.stop_reading()
        rss = self.server.rss()
        awake = len(self.clients) - len(sleepers)
        times = []
        for number in range(5):
            address = f"10.253.0.{number + 1}"
            _, seen, _ = await self.change(address, [service(CHANGING, [address])], expected=awake)
            times.extend(seen)
        times.sort()
        self.row["sleepers_p99_ms"] = times[int(len(times) * 0.99) - 1] * 1e3
        self.row["sleepers_mb"] = self.server.rss() - rss

    async def change(
        self, marker: str, entries: list[Any], *, expected: int = 0, times: int = 1
    ) -> tuple[float, list[float], float]:
        """CPU seconds, times until seen, and bytes per proxy of one change, of which every client
        hears in so many messages."""
        self.shared.marker = marker.encode()
        self.shared.seen_at.clear()
        received = sum(client.http.received for client in self.clients)
        _, cpu, started, own = self._before()
        self.server.write("changing.yaml", entries)
        wanted = (expected or len(self.clients)) * times
        while len(self.shared.seen_at) < wanted and time.monotonic() - started < _PATIENCE:
            await asyncio.sleep(0.005)
        self._own(own, started)
        seen = sorted(at - started for at in self.shared.seen_at)
        await asyncio.sleep(_SETTLE)
        if len(seen) < wanted:
            raise SystemExit(f"{marker} has been seen {len(seen)} times instead of {wanted}")
        size = sum(client.http.received for client in self.clients) - received
        self.shared.marker = b""
        return self.server.cpu() - cpu, seen, size / len(self.clients)

    def _before(self) -> tuple[float, float, float, float]:
        return self.server.rss(), self.server.cpu(), time.monotonic(), time.process_time()

    def _own(self, before: float, started: float) -> None:
        """How busy the clients' process was: above 0.7 the run says more of it than of ours."""
        used, wall = time.process_time() - before, time.monotonic() - started
        self._busy = max(self._busy, used / max(wall, 0.01))
        self.row["client_busy"] = self._busy

    def close(self) -> None:
        for client in self.clients:
            client.http.close()


async def measure(
    services: int,
    proxies: int,
    *,
    is_delta: bool,
    has_agents: bool = False,
    then: Then | None = None,
) -> list[dict[str, float | str]]:
    """One row: a daemon of its own, and everything that is measured of it; and what `then` makes
    of the clients."""
    server = Server(services)
    try:
        await server.start()
        await server.ready()
        fleet = Fleet(server, services, proxies, is_delta=is_delta, has_agents=has_agents)
        await fleet.storm()
        await fleet.endpoint_changes()
        await fleet.services_added()
        await fleet.nothing_new()
        await fleet.idle()
        await fleet.with_sleepers()
        if is_delta:
            await fleet.restart(fleet.clients[1].has)
        fleet.close()
    finally:
        await server.close()
    return [fleet.row, *([await then(fleet)] if then else [])]
