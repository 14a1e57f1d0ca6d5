"""One scope: its listing followed, and with it the services that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from pilot_adapter_consul import entries, listing
from pilot_adapter_consul.agent import Agent, Reply
from pilot_adapter_consul.attest import ROOTS
from pilot_adapter_consul.configuration import Configuration
from pilot_adapter_consul.known import Known
from pilot_adapter_consul.listing import Listing
from pilot_adapter_consul.position import Position
from pilot_adapter_consul.reader import Reader, tell
from pilot_adapter_consul.scope import Scope
from pilot_adapter_consul.settings import ConsulConfig
from pilot_adapter_consul.watches import Watches
from pilot_core.adapter import Denied, Host, Sink, Unavailable

_CONSUL = "/v1/health/service/consul"
_PEER_EVERY, _LEADER_EVERY = 5.0, 5.0
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
        connections -= configuration.connections
        watches = Watches(reader, sink, self._known, connections=connections, is_far=is_far)
        session = _Session(reader, sink, self._known, watches, self._config.grace)
        await configuration.read()
        await session.read()
        on_read()
        async with asyncio.TaskGroup() as group:
            # The watches last: where the agent has too few connections, these need theirs most.
            group.create_task(configuration.follow(watches.reread))
            await session.follow(group)
        raise AssertionError("not reached: a task group ends by an error only")

    async def _trust_domain(self, reader: Reader) -> str:
        """Of Consul's own mesh; empty where there is none. It never changes in a datacentre."""
        if self._known.trust_domain or self.scope.peer:
            return self._known.trust_domain
        try:
            reply = await reader.ask(ROOTS, absent=b"{}")
        except Denied:
            return ""
        except Unavailable as error:
            if _NO_MESH in str(error):
                return ""
            raise
        return entries.read(entries.roots, reply.content, ROOTS).trust_domain


async def _own(agent: Agent) -> str:
    """The agent's own datacentre: where it finds Consul itself without being told where to look."""
    found = entries.read(entries.instances, (await agent.read(_CONSUL)).content, _CONSUL)
    return found[0].node.datacenter if found else ""


class _Session:
    """The listing, from one session's first question to its end."""

    def __init__(
        self, reader: Reader, sink: Sink, known: Known, watches: Watches, grace: float
    ) -> None:
        self._reader, self._sink, self._known = reader, sink, known
        self._watches, self._grace = watches, grace
        self._position = Position()
        self._listed: Listing | None = None
        self._news, self._losses = asyncio.Event(), asyncio.Event()
        self._latest: Reply | None = None

    async def read(self) -> None:
        """Everything once. What is gone goes, unless it is so much that it is doubted."""
        reply = await self._reader.ask(listing.path(self._reader.scope))
        self._position.advance(reply.index)
        self._show_leader(reply)
        self._listed = now = await self._believed(reply)
        part = self._watches.source("")
        # What was served before this program was started counts too.
        for source in self._sink.known(part):
            self._known.sizes.setdefault(source.removeprefix(part), 0)
        gone = await self._gone(now)
        if listing.is_suspicious(gone, self._known.sizes):
            self._sink.keep(part, self._doubt(gone))
            self._losses.set()
        else:
            self._drop(gone)
        await self._watches.read_all(now.names)

    async def follow(self, group: asyncio.TaskGroup) -> NoReturn:
        """Every change, for ever."""
        for work in (
            self._follow_listing(),
            self._follow_leader(),
            self._watches.listen(),
            self._watches.sweep(),
            self._watches.start(group),
            self._watches.follow_news(),
            self._watches.make_room(),
            # Whether something is gone takes its time; what is new does not wait for that.
            self._follow_losses(),
        ):
            group.create_task(work)
        while True:
            if self._listed is not None:
                self._watches.keep(self._listed.names)
            await self._news.wait()
            self._news.clear()
            assert self._latest is not None
            self._listed = await self._believed(self._latest)
            self._losses.set()

    async def _follow_listing(self) -> NoReturn:
        scope = self._reader.scope
        while scope.peer:
            await self._reader.host.clock.sleep(_PEER_EVERY)
            self._take(await self._reader.ask(listing.path(scope)))
        told = tell(self._sink, f"{scope.prefix}unlisted")
        await self._reader.follow(listing.PATH, self._position, self._take, told=told)

    def _take(self, reply: Reply) -> None:
        if self._position.is_ahead_of(reply.index):
            # A snapshot was restored: who asked for a service just then waits for an index that
            # lies in the future.
            self._watches.begin_anew()
        self._latest = reply
        if not self._position.is_at(reply.index):
            self._watches.ring()
        self._news.set()

    async def _follow_leader(self) -> NoReturn:
        """Held questions say how it was when they were asked: this one is not held."""
        while True:
            await self._reader.host.clock.sleep(_LEADER_EVERY)
            try:
                self._show_leader(await self._reader.ask(_CONSUL))
            except Unavailable as error:
                await self._reader.probe(_CONSUL, error)

    async def _believed(self, reply: Reply) -> Listing:
        """The listing; the leader's, where this one cannot be all there is."""
        try:
            return listing.read(reply, self._reader.scope)
        except Denied:
            # A server that has only just joined the others lists nothing either.
            return await listing.confirm(self._reader)

    async def _follow_losses(self) -> NoReturn:
        while True:
            await self._losses.wait()
            self._losses.clear()
            assert self._listed is not None
            gone = await self._gone(self._listed)
            if listing.is_suspicious(gone, self._known.sizes):
                await self._doubted(gone)
            else:
                self._drop(gone)

    async def _doubted(self, gone: set[str]) -> None:
        """So much at once: served for a while, and gone if the leader says the same then."""
        part = self._watches.source("")
        self._sink.keep(part, self._doubt(gone))
        await self._reader.host.clock.sleep(self._grace)
        self._drop(await self._confirmed(gone))
        self._sink.synced(part)

    def _doubt(self, gone: set[str]) -> str:
        return (
            f"{len(gone)} of {len(self._known.sizes)} services are gone at once: they are served "
            f"for another {self._grace:g} s, and go if Consul says so still"
        )

    def _drop(self, gone: set[str]) -> None:
        for name in sorted(gone):
            self._watches.drop(name)

    async def _gone(self, now: Listing) -> set[str]:
        """Those that are known, and gone for certain."""
        gone = self._known.sizes.keys() - now.names
        return await self._confirmed(gone) if gone else set()

    async def _confirmed(self, gone: set[str]) -> set[str]:
        """Those that the leader does not list either."""
        said = await listing.confirm(self._reader)
        missing = gone - said.names
        if said.is_filtered and missing:
            for name in sorted(missing):
                self._watches.keep_unseen(name, "nothing")
            return set()
        return missing

    def _show_leader(self, reply: Reply) -> None:
        """Whether what is read is what Consul's servers agree on now."""
        if self._reader.scope.peer:
            return  # a peering is told of by the leader, or not at all
        source = f"{self._reader.scope.prefix}leader"
        self._reader.host.metrics.gauge("last_contact_seconds", reply.last_contact)
        if reply.has_leader:
            self._sink.drop(source)
        else:
            self._sink.warn(
                "Consul has no leader: what its servers agreed on "
                f"{reply.last_contact:.0f} s ago is served, and nothing is taken away",
                source=source,
            )
