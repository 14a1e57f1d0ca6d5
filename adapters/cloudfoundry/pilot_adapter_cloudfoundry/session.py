"""One session with a foundation: every part of it followed, and what changes put.

Rule 1: with the BBS, it is the BBS that ends a session: what else is out of reach is a problem, is
tried again by itself, and what it said last stays.
Rule 2: the Cloud Controller and the Routing API hold up no session: where they cannot be read at
its beginning, it goes on without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from msgspec.structs import replace

from pilot_adapter_cloudfoundry import enrichment, trust
from pilot_adapter_cloudfoundry.convert import Context
from pilot_adapter_cloudfoundry.parts import Parts
from pilot_adapter_cloudfoundry.publisher import Publisher
from pilot_core.adapter import Denied, Sink, Unavailable
from pilot_core.aio import Backoff

_BBS, _NATS, _ROUTING = "bbs", "nats", "routing-api"
_AT_MOST = 10.0
"""Seconds that a first view waits for what only adds to it."""
Following = Callable[[Callable[[], None]], Coroutine[Any, Any, NoReturn]]


class Session:
    """`run` it once."""

    def __init__(self, parts: Parts, sink: Sink) -> None:
        self._parts, self._config, self._sink = parts, parts.config, sink
        self._host = parts.host
        roots = f"{self._host.name}/instances" if self._config.instance_ca_file else ""
        self._context = Context(self._config, roots, parts.enrichment.names, parts.hostnames())
        self._publisher = Publisher(
            parts.kinds,
            self._context,
            sink,
            self._host,
            parts=self._awaited(),
            diego=parts.diego,
        )

    async def run(self) -> NoReturn:
        """Until it ends. Raises Unavailable or Denied, also in groups."""
        if self._parts.emitters.is_complete:
            self._publisher.waive(_NATS)
        async with asyncio.TaskGroup() as group:
            for work in self._work():
                group.create_task(work)
        raise Unavailable("the session has ended")

    def _awaited(self) -> set[str]:
        settings = self._config
        wanted = {
            _BBS: settings.bbs,
            _NATS: settings.nats,
            _ROUTING: settings.routing_api,
            enrichment.SOURCE: settings.api,
            trust.SOURCE: settings.instance_ca_file,
        }
        return {name for name, setting in wanted.items() if setting is not None}

    def _work(self) -> list[Coroutine[Any, Any, None]]:
        parts = self._parts
        found: list[Coroutine[Any, Any, None]] = [self._publisher.run(), self._patience()]
        if self._config.instance_ca_file is not None:
            found.append(self._trust())
        if parts.cells is not None:
            found.append(parts.cells.run(self._reader(_BBS), self._changed))
        if self._config.nats is not None:
            alone = parts.cells is None
            found.append(
                self._nats(self._reader(_NATS)) if alone else self._apart(_NATS, self._nats)
            )
        if parts.routing is not None:
            found.append(self._apart(_ROUTING, self._route))
        if self._config.api is not None:
            found.append(self._enrich())
        return found

    def _reader(self, part: str) -> Callable[[], None]:
        return lambda: self._publisher.has_read(part)

    def _changed(self) -> None:
        self._parts.note_changes()
        self._publisher.nudge()

    async def _patience(self) -> None:
        await self._host.clock.sleep(_AT_MOST)
        self._publisher.has_read(enrichment.SOURCE)
        self._publisher.waive(_ROUTING)

    async def _nats(self, has_read: Callable[[], None]) -> NoReturn:
        assert self._config.nats is not None
        await self._parts.emitters.run(self._config.nats, has_read, self._publisher.nudge)

    async def _route(self, has_read: Callable[[], None]) -> NoReturn:
        assert self._parts.routing is not None
        await self._parts.routing.run(has_read, self._publisher.nudge)

    async def _trust(self) -> NoReturn:
        assert self._config.instance_ca_file is not None
        has_read = self._reader(trust.SOURCE)
        path = self._config.instance_ca_file
        await trust.follow(self._context.roots, path, self._sink, self._host, has_read)

    async def _enrich(self) -> NoReturn:
        config, uaa = self._config.api, self._parts.uaa
        assert config is not None
        assert uaa is not None
        has_read = self._reader(enrichment.SOURCE)
        await self._parts.enrichment.run(config, uaa, self._sink, self._renamed, has_read)

    def _renamed(self) -> None:
        names, hostnames = self._parts.enrichment.names, self._parts.hostnames()
        self._publisher.retell(replace(self._context, names=names, hostnames=hostnames))

    async def _apart(self, part: str, follow: Following) -> NoReturn:
        """Again and again, while the session goes on."""
        backoff = Backoff()

        def is_back() -> None:
            backoff.reset()
            self._sink.drop(part)
            self._publisher.has_read(part)

        while True:
            try:
                await follow(is_back)
            except* (Unavailable, Denied) as failed:
                self._sink.warn(f"{part}: {_first(failed)}", source=part)
                self._publisher.waive(part)
            await self._host.clock.sleep(backoff.delay())


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
