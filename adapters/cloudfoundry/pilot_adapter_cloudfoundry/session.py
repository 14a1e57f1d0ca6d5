"""One connection's time: what is heard goes into the tables, what has changed into the sink."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import msgspec

from pilot_adapter_cloudfoundry.config import CloudFoundryConfig
from pilot_adapter_cloudfoundry.feed import Feed
from pilot_adapter_cloudfoundry.registry import Registry
from pilot_core.adapter import Host, Sink

_GATHER = 0.05
"""Seconds in which changes are gathered: a route's messages come in a row."""
_JITTER = 1.25
"""Emitters spread what they repeat over a fifth of their interval."""
_LOOKS = 20
"""How often in a lifetime the tables are looked through for what has ended."""


class Session:
    """`is_complete`: the tables held everything once, and are served from the beginning."""

    def __init__(
        self,
        registries: tuple[Registry, ...],
        config: CloudFoundryConfig,
        sink: Sink,
        host: Host,
        *,
        is_complete: bool,
    ) -> None:
        self._registries, self._config, self._sink, self._host = registries, config, sink, host
        self._by_subject = {registry.subject: registry for registry in registries}
        self._put: set[str] = set()
        self._is_complete = asyncio.Event()
        self._has_changed = asyncio.Event()
        if is_complete:
            self._is_complete.set()
        self._has_changed.set()
        for registry in registries:
            registry.table.restamp(host.clock.monotonic())
            registry.table.changed.update(registry.table.hostnames)

    def take(self, subject: str, data: bytes) -> None:
        """One message of NATS."""
        first, _, verb = subject.rpartition(".")
        registry = self._by_subject[first]
        try:
            registry.take(verb, data, self._host.clock.monotonic())
        except msgspec.MsgspecError as error:
            self._host.metrics.count("unread_messages")
            self._host.log.debug(
                "message makes no sense", extra={"subject": subject, "error": str(error)}
            )
        if registry.table.changed:
            self._has_changed.set()

    async def settle(self, feed: Feed) -> None:
        """Listen until everybody has had the time to say what there is, and say `synced`."""
        clock = self._host.clock
        began = clock.monotonic()
        for registry in self._registries:
            said = await feed.greet(f"{registry.subject}.greet")
            if said is not None:
                registry.table.begin(said)
        interval = max(registry.table.interval for registry in self._registries)
        wait = max(float(self._config.settle), interval * _JITTER)
        await clock.sleep(max(0.0, began + wait - clock.monotonic()))
        self._is_complete.set()
        self._publish()
        self._sink.synced()

    async def publish(self) -> NoReturn:
        """Put what has changed, once there is a complete view to change."""
        await self._is_complete.wait()
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            self._publish()
            await self._host.clock.sleep(_GATHER)

    async def expire(self) -> NoReturn:
        """Let go of what nobody repeats."""
        while True:
            shortest = min(registry.table.ttl for registry in self._registries)
            await self._host.clock.sleep(shortest / _LOOKS)
            now = self._host.clock.monotonic()
            gone = sum(registry.table.expire(now) for registry in self._registries)
            if gone:
                self._host.metrics.count("expired_routes", gone)
            self._has_changed.set()

    def _publish(self) -> None:
        for registry in self._registries:
            changed, registry.table.changed = registry.table.changed, set()
            for hostname in sorted(changed):
                self._put_hostname(registry, hostname)

    def _put_hostname(self, registry: Registry, hostname: str) -> None:
        source, made = registry.source(hostname), registry.made(hostname, self._config)
        if made.records:
            self._put.add(source)
            self._sink.put(source, made.records)
        elif source in self._put or not made.problems:
            # A hostname that has only been spoken of wrongly so far keeps what it had.
            self._put.discard(source)
            self._sink.drop(source)
        for problem in made.problems:
            self._sink.warn(problem, source=source, origin=hostname)
