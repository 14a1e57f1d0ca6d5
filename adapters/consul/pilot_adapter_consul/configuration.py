"""Consul's configuration entries, followed: each a policy; protocols count at once.

Rule 1: an entry is gone when the leader says so to a token that sees services, and the answer is
not filtered.
Rule 2: an entry that cannot be read keeps what it last said, and is shown.
Rule 3: a token that may not read a kind is told so; the catalogue goes on without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import msgspec

from pilot_adapter_consul import config_entries, entries, listing, policies
from pilot_adapter_consul.agent import Reply
from pilot_adapter_consul.known import Known
from pilot_adapter_consul.position import Position
from pilot_adapter_consul.reader import Reader, tell
from pilot_core.adapter import Denied, Sink
from pilot_core.aio import Backoff
from pilot_core.model import Traffic

_LONGEST_PAUSE = 60.0

Changed = Callable[[Iterable[str]], None]
"""Called with the services of which something is known now that was not before."""


class Configuration:
    """All kinds of entries of one scope, within one session. None of a peer: they stay at home."""

    def __init__(self, reader: Reader, sink: Sink, known: Known) -> None:
        kinds = () if reader.scope.peer else config_entries.TYPES
        self._kinds = [_Kind(kind, reader, sink, known) for kind in kinds]

    @property
    def connections(self) -> int:
        """How many it keeps open."""
        return len(self._kinds)

    async def read(self) -> None:
        """Everything once. Raises Unavailable."""
        async with asyncio.TaskGroup() as group:
            for kind in self._kinds:
                group.create_task(kind.read())

    async def follow(self, changed: Changed) -> None:
        """Every change, for ever. Raises Unavailable and Denied."""
        async with asyncio.TaskGroup() as group:
            for kind in self._kinds:
                group.create_task(kind.follow(changed))


class _Kind:
    """The entries of one kind."""

    def __init__(self, kind: str, reader: Reader, sink: Sink, known: Known) -> None:
        self._kind, self._path = kind, f"/v1/config/{kind}"
        self._reader, self._sink, self._known = reader, sink, known
        self._source = f"{reader.scope.prefix}config/{kind}"
        self._position = Position()
        self._is_denied = False

    async def read(self) -> set[str]:
        """Read it, and return the services of which the protocol is another one now."""
        try:
            reply = await self._reader.ask(self._path)
        except Denied as denied:
            self._is_denied = True
            self._sink.warn(f"{self._kind} entries are not read: {denied}", source=self._source)
            return set()
        if self._is_denied:
            self._is_denied = False
            self._sink.drop(self._source)
        self._position.advance(reply.index)
        return await self._take(reply)

    async def follow(self, changed: Changed) -> NoReturn:
        backoff = Backoff(longest=_LONGEST_PAUSE)
        while self._is_denied:
            await self._reader.host.clock.sleep(backoff.delay())
            changed(await self.read())
        latest: list[Reply] = []
        news = asyncio.Event()

        def taken(reply: Reply) -> None:
            latest[:] = [reply]
            news.set()

        async with asyncio.TaskGroup() as group:
            told = tell(self._sink, self._source)
            group.create_task(self._reader.follow(self._path, self._position, taken, told=told))
            while True:
                await news.wait()
                news.clear()
                changed(await self._take(latest[0]))
        raise AssertionError("not reached: a task group ends by an error only")

    async def _take(self, reply: Reply) -> set[str]:
        found = self._decoded(reply)
        known = self._known.entries.get(self._kind, frozenset())
        if known - found.keys():
            reply = await self._reader.ask(self._path, is_decisive=True)
            found = self._decoded(reply)
            await listing.confirm(self._reader)
        gone = known - found.keys()
        touched = {name for name, raw in found.items() if self._put(name, raw)}
        for name in sorted(gone):
            if reply.is_filtered:
                self._sink.warn(
                    "the token does not see this entry any more: what it said stays",
                    source=f"{self._source}/{name}",
                )
            else:
                self._sink.drop(f"{self._source}/{name}")
                touched |= self._set_protocol(name, None)
        if not reply.is_filtered:
            known = frozenset()
        self._known.entries[self._kind] = known | found.keys()
        return touched

    def _put(self, name: str, raw: Mapping[str, Any]) -> bool:
        """True if it says another protocol than before."""
        source = f"{self._source}/{name}"
        try:
            policy = policies.policy(self._kind, raw, self._reader.scope)
        except (msgspec.ValidationError, ValueError) as error:
            self._sink.warn(f"{self._kind} {name} cannot be read: {error}", source=source)
            return False
        self._sink.put(source, (policy,))
        return bool(self._set_protocol(name, policy))

    def _set_protocol(self, name: str, policy: object) -> set[str]:
        if self._kind != config_entries.DEFAULTS:
            return set()
        said = policy.protocol if isinstance(policy, Traffic) else None
        protocols = self._known.protocols
        if protocols.get(name) == said:
            return set()
        if said is None:
            del protocols[name]
        else:
            protocols[name] = said
        return {name}

    def _decoded(self, reply: Reply) -> dict[str, Mapping[str, Any]]:
        found = entries.read(config_entries.lists, reply.content, self._path)
        return {str(raw.get("Name", "")): raw for raw in found}
