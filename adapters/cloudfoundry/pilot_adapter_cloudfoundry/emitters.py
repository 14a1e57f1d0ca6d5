"""What the foundation's emitters say over NATS: one connection's time, from messages to tables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

import msgspec

from pilot_adapter_cloudfoundry import feed, messages
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig, NatsConfig
from pilot_adapter_cloudfoundry.feed import Feed
from pilot_adapter_cloudfoundry.messages import Registration
from pilot_adapter_cloudfoundry.route import Route
from pilot_adapter_cloudfoundry.table import Table
from pilot_core.adapter import Host

_JITTER = 1.25
"""Emitters spread what they repeat over a fifth of their interval."""
_LOOKS = 20
"""How often in a lifetime the tables are looked through for what has ended."""


class Told:
    """One kind of routes as NATS tells them: `subject` is the first part of their subjects."""

    def __init__(self, subject: str, ttl: float, read: Callable[[Registration], Route]) -> None:
        self.subject, self._read = subject, read
        self.table = Table(ttl)

    def take(self, verb: str, data: bytes, now: float) -> None:
        """One message. Raises msgspec.MsgspecError where it cannot be decoded at all."""
        if verb == "start":
            self.table.begin(messages.start(data))
        elif verb in ("register", "unregister"):
            self._take(verb, messages.registration(data), now)

    def _take(self, verb: str, said: Registration, now: float) -> None:
        uris, speaker = messages.uris(said), messages.speaker(said)
        try:
            route = self._read(said)
        except messages.Unusable as error:
            if verb == "register":
                self.table.refuse(uris, speaker, str(error), now)
            else:
                self.table.accept(uris, speaker)
            return
        if verb == "register":
            self.table.register(uris, route, now, lifetime=messages.lifetime(said))
        else:
            self.table.unregister(uris, route.id, route.address)
        self.table.accept(uris, speaker)


class Emitters:
    """HTTP routes and internal ones. The tables outlive connections: nobody is missed for being
    silent while nobody listened."""

    def __init__(self, config: CloudFoundryConfig, host: Host) -> None:
        self.router = Told("router", config.ttl, messages.external)
        self.discovery = Told("service-discovery", config.internal_ttl, messages.internal)
        self._both = (self.router, self.discovery)
        self._by_subject = {told.subject: told for told in self._both}
        self._settle, self._host = float(config.settle), host
        self.is_complete = False
        """The tables held everything once."""

    async def run(
        self, config: NatsConfig, has_read: Callable[[], None], nudge: Callable[[], None]
    ) -> NoReturn:
        """Listen until the connection ends. Raises Unavailable or Denied, also in groups."""
        async with feed.connected(config) as source:
            for told in self._both:
                told.table.restamp(self._host.clock.monotonic())
            await source.listen(lambda subject, data: self._take(subject, data, nudge))
            async with asyncio.TaskGroup() as group:
                group.create_task(source.lost())
                group.create_task(self._complete(source, has_read))
                group.create_task(self._expire(nudge))
        raise AssertionError("not reached: the group ends by an error only")

    def _take(self, subject: str, data: bytes, nudge: Callable[[], None]) -> None:
        first, _, verb = subject.rpartition(".")
        told = self._by_subject[first]
        try:
            told.take(verb, data, self._host.clock.monotonic())
        except msgspec.MsgspecError as error:
            self._host.metrics.count("unread_messages")
            self._host.log.debug(
                "message makes no sense", extra={"subject": subject, "error": str(error)}
            )
        if told.table.changed:
            nudge()

    async def _complete(self, source: Feed, has_read: Callable[[], None]) -> None:
        """Listen until everybody has had the time to say what there is."""
        clock = self._host.clock
        began = clock.monotonic()
        for told in self._both:
            said = await source.greet(f"{told.subject}.greet")
            if said is not None:
                told.table.begin(said)
        interval = max(told.table.interval for told in self._both)
        wait = max(self._settle, interval * _JITTER)
        await clock.sleep(max(0.0, began + wait - clock.monotonic()))
        self.is_complete = True
        has_read()

    async def _expire(self, nudge: Callable[[], None]) -> NoReturn:
        """Let go of what nobody repeats."""
        while True:
            shortest = min(told.table.ttl for told in self._both)
            await self._host.clock.sleep(shortest / _LOOKS)
            now = self._host.clock.monotonic()
            gone = sum(told.table.expire(now) for told in self._both)
            if gone:
                self._host.metrics.count("expired_routes", gone)
            nudge()
