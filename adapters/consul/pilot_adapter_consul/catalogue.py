"""One scope: its listing followed, and with it the services that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from pilot_adapter_consul import entries, listing
from pilot_adapter_consul.agent import Agent, Reply
from pilot_adapter_consul.configuration import Configuration
from pilot_adapter_consul.known import Known
from pilot_adapter_consul.listing import Listing
from pilot_adapter_consul.position import Position
from pilot_adapter_consul.reader import Reader, tell
from pilot_adapter_consul.scope import Scope
from pilot_adapter_consul.settings import ConsulConfig
from pilot_adapter_consul.watches import Watches
from pilot_core.adapter import Denied, Host, Sink, Unavailable

_ROOTS = "/v1/connect/ca/roots"
_NO_MESH = "Connect must be enabled"


class Catalogue:
    """What is in one scope, over all sessions."""

    def __init__(self, config: ConsulConfig, host: Host, scope: Scope) -> None:
        self.scope = scope
        self._config, self._host = config, host
        self._known = Known()

    async def run(
        self, agent: Agent, sink: Sink, on_read: Callable[[], None], connections: int
    ) -> NoReturn:
        """Follow it until something ends that. Raises Unavailable and Denied, also in groups."""
        reader = Reader(agent, self.scope, self._host)
        is_far = bool(self.scope.datacenter) and await _own(agent) != self.scope.datacenter
        self._known.trust_domain = await self._trust_domain(reader)
        configuration = Configuration(reader, sink, self._known)
        watches = Watches(
            reader,
            sink,
            self._known,
            connections=connections - configuration.connections,
            is_far=is_far,
        )
        position = Position()
        reply = await reader.ask(listing.PATH)
        position.advance(reply.index)
        now = self._listed(reply)
        await configuration.read()
        self._remember(sink, watches)
        gone = await self._confirmed(reader, watches, self._known.sizes.keys() - now.names)
        is_doubted = listing.is_suspicious(gone, self._known.sizes)
        if is_doubted:
            sink.keep(watches.source(""), self._doubt(gone))
        for name in () if is_doubted else sorted(gone):
            watches.drop(name)
        await watches.read_all(now.names)
        on_read()
        self._show_leader(reply, sink)
        changed, listed = asyncio.Event(), f"{self.scope.prefix}unlisted"
        latest = [now]
        async with asyncio.TaskGroup() as group:

            def taken(reply: Reply) -> None:
                latest[0] = self._listed(reply)
                self._show_leader(reply, sink)
                watches.keep(latest[0].names, group)
                changed.set()

            # These first: where the agent has too few connections, they need theirs most.
            for work in (
                watches.sweep(),
                watches.listen(),
                watches.follow_news(),
                watches.make_room(),
                configuration.follow(watches.reread),
                reader.follow(listing.PATH, position, taken, told=tell(sink, listed)),
            ):
                group.create_task(work)
            watches.keep(now.names, group)
            if is_doubted:
                changed.set()
            while True:
                # Whether something is gone takes its time; what is new does not wait for that.
                await changed.wait()
                changed.clear()
                for name in await self._gone(reader, sink, watches, latest[0]):
                    watches.drop(name)
        raise AssertionError("not reached: a task group ends by an error only")

    def _listed(self, reply: Reply) -> Listing:
        return listing.read(reply, has_consul=self.scope.has_consul)

    def _show_leader(self, reply: Reply, sink: Sink) -> None:
        """Whether what is read is what Consul's servers agree on now."""
        source = f"{self.scope.prefix}leader"
        self._host.metrics.gauge("last_contact_seconds", reply.last_contact)
        if reply.has_leader:
            sink.drop(source)
        else:
            sink.warn(
                "Consul has no leader: what its servers agreed on "
                f"{reply.last_contact:.0f} s ago is served, and nothing is taken away",
                source=source,
            )

    async def _gone(self, reader: Reader, sink: Sink, watches: Watches, now: Listing) -> list[str]:
        """Those that are known, and gone for certain."""
        gone = await self._confirmed(reader, watches, self._known.sizes.keys() - now.names)
        if listing.is_suspicious(gone, self._known.sizes):
            part = watches.source("")
            sink.keep(part, self._doubt(gone))
            await self._host.clock.sleep(self._config.grace)
            gone = await self._confirmed(reader, watches, gone)
            for name in gone:
                watches.drop(name)
            sink.synced(part)
        return sorted(gone)

    def _doubt(self, gone: set[str]) -> str:
        return (
            f"{len(gone)} of {len(self._known.sizes)} services are gone at once: they are served "
            f"for another {self._config.grace:g} s, and go if Consul says so still"
        )

    def _remember(self, sink: Sink, watches: Watches) -> None:
        """What was served before this program was started counts too."""
        prefix = watches.source("")
        for source in sink.known(prefix):
            self._known.sizes.setdefault(source.removeprefix(prefix), 0)

    async def _confirmed(self, reader: Reader, watches: Watches, gone: set[str]) -> set[str]:
        """Those that the leader does not list either."""
        if not gone:
            return set()
        said = await listing.confirm(reader)
        missing = gone - said.names
        if said.is_filtered and missing:
            for name in sorted(missing):
                watches.keep_unseen(name, "nothing")
            return set()
        return missing

    async def _trust_domain(self, reader: Reader) -> str:
        """Of Consul's own mesh; empty where there is none. It never changes in a datacentre."""
        if self._known.trust_domain or self.scope.peer:
            return self._known.trust_domain
        try:
            reply = await reader.ask(_ROOTS, absent=b"{}")
        except Denied:
            return ""
        except Unavailable as error:
            if _NO_MESH in str(error):
                return ""
            raise
        return entries.read(entries.roots, reply.content, _ROOTS).trust_domain


async def _own(agent: Agent) -> str:
    """The agent's own datacentre: where it finds Consul itself without being told where to look."""
    path = "/v1/health/service/consul"
    found = entries.read(entries.instances, (await agent.read(path)).content, path)
    return found[0].node.datacenter if found else ""
