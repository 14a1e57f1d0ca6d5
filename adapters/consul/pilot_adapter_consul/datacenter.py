"""One datacentre: its listing followed, and with it the services that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from pilot_adapter_consul import listing
from pilot_adapter_consul.agent import Agent, Reply
from pilot_adapter_consul.listing import Listing
from pilot_adapter_consul.position import Position
from pilot_adapter_consul.settings import ConsulConfig
from pilot_adapter_consul.watches import Watches
from pilot_core.adapter import Host, Sink, Unavailable


class Datacenter:
    """`sizes` are the instances of each service that is known, over all sessions."""

    def __init__(self, config: ConsulConfig, host: Host, name: str, sizes: dict[str, int]) -> None:
        self.name = name
        self._config, self._host, self._sizes = config, host, sizes

    async def run(
        self, agent: Agent, sink: Sink, on_read: Callable[[], None], connections: int
    ) -> NoReturn:
        """Follow it until something ends that. Raises Unavailable and Denied, also in groups."""
        watches = Watches(
            agent,
            sink,
            self._host,
            datacenter=self.name,
            connections=connections,
            sizes=self._sizes,
        )
        position = Position()
        reply = await self._ask(agent)
        position.advance(reply.index)
        now = listing.read(reply)
        for name in await self._gone(agent, sink, watches, now):
            watches.drop(name)
        await watches.read_all(now.names)
        on_read()
        changed = asyncio.Event()
        latest = [now]
        async with asyncio.TaskGroup() as group:

            def taken(reply: Reply) -> None:
                latest[0] = listing.read(reply)
                watches.keep(latest[0].names, group)
                changed.set()

            watches.keep(now.names, group)
            group.create_task(watches.sweep())
            group.create_task(watches.listen())
            group.create_task(watches.follow(listing.PATH, position, taken))
            while True:
                # Whether something is gone takes its time; what is new does not wait for that.
                await changed.wait()
                changed.clear()
                for name in await self._gone(agent, sink, watches, latest[0]):
                    watches.drop(name)
        raise AssertionError("not reached: a task group ends by an error only")

    async def _ask(self, agent: Agent, *, is_decisive: bool = False) -> Reply:
        return await agent.read(listing.PATH, datacenter=self.name, is_decisive=is_decisive)

    async def _gone(self, agent: Agent, sink: Sink, watches: Watches, now: Listing) -> list[str]:
        """Those that are known, and gone for certain."""
        gone = self._sizes.keys() - now.names
        if not gone:
            return []
        confirmed = await self._confirmed(agent, watches, gone)
        if listing.is_suspicious(confirmed, self._sizes):
            source = f"{self.name}/listing" if self.name else "listing"
            sink.warn(
                f"{len(confirmed)} of {len(self._sizes)} services are gone at once: they are "
                f"served for another {self._config.grace:g} s, and go if Consul says so still",
                source=source,
            )
            await self._host.clock.sleep(self._config.grace)
            confirmed = await self._confirmed(agent, watches, confirmed)
            sink.drop(source)
        return sorted(confirmed)

    async def _confirmed(self, agent: Agent, watches: Watches, gone: set[str]) -> set[str]:
        """Those that the leader does not list either."""
        said = listing.read(await self._ask(agent, is_decisive=True))
        if not said.has_leader:
            raise Unavailable("services are gone from the listing, and no leader confirms it")
        missing = gone - said.names
        if said.is_filtered and missing:
            for name in sorted(missing):
                watches.keep_unseen(name, "nothing")
            return set()
        return missing
