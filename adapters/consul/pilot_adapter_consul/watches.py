"""The instances of every service: waited on one by one, as far as the connections go.

Rule 1: each of the first services has a blocking query of its own. The rest share a few
connections: one whose check turns or recovers is read at once, and all are read in turn when the
listing or a whole node changes, and once in a while.
Rule 2: an empty answer changes nothing: a service without instances is gone from the listing too.
Only a peer lists services of which it has none; the leader has to say so then.
Rule 3: a filtered answer with fewer instances than before changes nothing, and is warned about.
Rule 4: what is learnt of a service elsewhere (its proxies, its protocol) has it read again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Collection, Iterable, Iterator
from typing import NoReturn
from urllib.parse import quote

import msgspec

from pilot_adapter_consul import entries, mapping, sidecars
from pilot_adapter_consul.agent import LONG, Crowded, Reply
from pilot_adapter_consul.known import Known
from pilot_adapter_consul.mapping import About
from pilot_adapter_consul.position import Position
from pilot_adapter_consul.reader import Reader, tell, within
from pilot_core.adapter import Sink, Unavailable

_READERS = 8
_DOORBELLS = 3
"""Connections beside those of the watches: the listing, and two states of checks."""
_AT_ONCE = 100
"""Watches that begin at a time, until the agent has answered something: one that is to accept ten
thousand connections in one moment lets most of them wait until they time out."""
_LEADER = "/v1/status/leader"
_SWEEP_EVERY = 60.0
_SETTLE = 1.0
_ROOM, _FEWEST = 24, 8
"""Connections to leave free, of those that an agent turned out to take; watches to keep anyway."""
_STATES = ("critical", "warning")


class Watches:
    """All services of one scope, within one session."""

    def __init__(
        self, reader: Reader, sink: Sink, known: Known, *, connections: int, is_far: bool
    ) -> None:
        self._reader, self._sink, self._known = reader, sink, known
        self._clock, self._log = reader.host.clock, reader.host.log
        self._most = max(connections - _READERS - _DOORBELLS, 1)
        reader.on_crowded = self._refuse
        self._is_far = is_far
        self._positions: dict[str, Position] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._swept: dict[str, None] = {}
        self._gone: set[str] = set()
        self._empty: set[str] = set()
        self._again: set[str] = set()
        self._emptied: set[str] = set()
        """Services of a peer that have no instances any more."""
        self._reading = asyncio.Semaphore(_READERS)
        self._ring = asyncio.Event()
        self._news = asyncio.Event()
        self._pending: dict[str, None] = {}
        """Those that are about to be waited on."""
        self._starting = asyncio.Event()
        self._refused: set[str] = set()
        """Paths for which the agent had no connection to spare."""
        self._crowd = asyncio.Event()
        self._is_degraded = False

    async def read_all(self, names: Collection[str]) -> None:
        """Read these services once, before anything is said to be complete. What is listed and
        known, and has no instances all the same, is asked of the leader."""
        # Proxies first: what stands beside a service has to be known when it is read.
        await self._each(sorted(names, key=lambda name: (not name.endswith(sidecars.SUFFIX), name)))
        await self._read_again()
        for name in sorted(self._empty & self._known.sizes.keys()):
            self._take(name, await self._reader.ask(_path(name), is_decisive=True))

    def keep(self, names: Collection[str]) -> None:
        """Follow these from now on, besides those that are followed already."""
        self._gone -= set(names)
        for name in sorted(names):
            if name in self._tasks or name in self._pending:
                continue
            if self._waited_on < self._most:
                # Also one that was read in turn, where others have gone.
                self._swept.pop(name, None)
                self._pending[name] = None
            else:
                self._swept[name] = None
        if self._pending:
            self._starting.set()
        if self._swept and self._waited_on >= self._most:
            self._say_degraded()

    @property
    def _waited_on(self) -> int:
        return len(self._tasks) + len(self._pending)

    async def start(self, group: asyncio.TaskGroup) -> NoReturn:
        """Begin to wait on what `keep` names, as fast as the agent takes it, for ever."""
        while True:
            await self._starting.wait()
            self._starting.clear()
            while self._pending:
                for name in list(itertools.islice(self._pending, _AT_ONCE)):
                    del self._pending[name]
                    self._tasks[name] = group.create_task(self._watch(name))
                # A question that is held tells nothing of how the agent is doing; this one does.
                try:
                    await self._reader.ask(_LEADER)
                except Unavailable as error:
                    await self._reader.probe(_LEADER, error)

    def begin_anew(self) -> None:
        """Give up all questions that are held; `keep` asks them again, from the beginning."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        self._pending.clear()
        self._swept.clear()
        self._positions.clear()

    def drop(self, name: str) -> None:
        """The service is gone; an answer that is still on its way counts for nothing."""
        self._gone.add(name)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
        self._pending.pop(name, None)
        self._swept.pop(name, None)
        self._positions.pop(name, None)
        self._empty.discard(name)
        self._known.sizes.pop(name, None)
        self.reread(self._known.set_sidecars(name, {}))
        self._sink.drop(self.source(name))

    def reread(self, names: Iterable[str]) -> None:
        """Something else is known of these now: read them again, soon."""
        self._again |= set(names) & self._known.sizes.keys()
        if self._again:
            self._news.set()

    def source(self, name: str) -> str:
        return f"{self._reader.scope.prefix}service/{name}"

    def ring(self) -> None:
        """Something is different somewhere: read those that have no query of their own."""
        self._ring.set()

    async def sweep(self) -> NoReturn:
        """Read them in turn whenever it rings, and once in a while, for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                await within(self._clock, self._ring.wait(), _SWEEP_EVERY)
            # Before the reading: what rings meanwhile may be about a service that was read already.
            self._ring.clear()
            began = self._clock.monotonic()
            await self._each(list(self._swept))
            # Never more than half of the time: the agent has others to serve.
            await self._clock.sleep(self._clock.monotonic() - began)

    async def follow_news(self) -> NoReturn:
        """Read again what `reread` names, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._read_again()
            await self._drop_emptied()

    async def make_room(self) -> NoReturn:
        """Where the agent takes fewer connections than it was thought to: wait on fewer services,
        and read the others in turn."""
        while True:
            await self._crowd.wait()
            await self._clock.sleep(_SETTLE)  # until all that are refused have said so
            held = len(self._tasks) - len(self._refused & {_path(name) for name in self._tasks})
            # For this session: with the next, the limit may have been raised.
            self._most = max(held - _ROOM, _FEWEST)
            by_need = sorted(self._tasks, key=lambda name: (_path(name) not in self._refused, name))
            for name in by_need[: len(self._tasks) - self._most]:
                self._tasks.pop(name).cancel()
                self._swept[name] = None
            self._swept |= self._pending
            self._pending.clear()
            self._refused.clear()
            self._crowd.clear()
            self._ring.set()
            self._is_degraded = False
            self._say_degraded()

    async def listen(self) -> None:
        """Hear of every check that turns critical or warning, or recovers, for ever."""
        async with asyncio.TaskGroup() as group:
            for state in _STATES:
                group.create_task(self._hear(state))

    async def _watch(self, name: str) -> None:
        position = self._positions.setdefault(name, Position())
        await self._reader.follow(
            _path(name),
            position,
            lambda reply: self._take(name, reply),
            told=lambda words: self._tell(name, words),
            wait=LONG,
        )

    def _refuse(self, path: str) -> None:
        self._refused.add(path)
        self._crowd.set()

    def _tell(self, name: str, words: str) -> None:
        # What ends it is the put that comes with the next answer.
        if words and name not in self._gone:
            self._sink.warn(f"{words}; what was read before stays", source=self.source(name))

    async def _read_again(self) -> None:
        names, self._again = self._again, set()
        await self._each(sorted(names), is_again=True)

    async def _drop_emptied(self) -> None:
        names, self._emptied = self._emptied, set()
        for name in sorted(names):
            reply = await self._reader.ask(_path(name), is_decisive=True)
            if not reply.is_filtered and not _instances(reply):
                self._known.sizes.pop(name, None)
                self._sink.drop(self.source(name))

    async def _each(self, names: Collection[str], *, is_again: bool = False) -> None:
        async with asyncio.TaskGroup() as group:
            remaining = iter(names)
            for _ in range(min(_READERS, len(names))):
                group.create_task(self._read_from(remaining, is_again))

    async def _read_from(self, names: Iterator[str], is_again: bool) -> None:
        for name in names:  # several readers share one iterator
            await self._read(name, is_again)

    async def _read(self, name: str, is_again: bool) -> None:
        async with self._reading:
            try:
                reply = await self._reader.ask(_path(name))
            except Unavailable as error:
                await self._reader.probe(_path(name), error)
                if not isinstance(error, Crowded):
                    self._tell(name, str(error))
                return
        position = self._positions.setdefault(name, Position())
        before = position.index
        position.advance(reply.index)
        if is_again or before != position.index or not before:
            self._take(name, reply)

    async def _hear(self, state: str) -> None:
        path = f"/v1/health/state/{state}"
        source = f"{self._reader.scope.prefix}checks/{state}"
        before: list[frozenset[entries.Check]] = [frozenset()]
        position = Position()

        def taken(reply: Reply) -> None:
            now = _checks(reply)
            turned = {check.service_name for check in now ^ before[0]}
            before[0] = now
            # From the beginning: who knows what turned and recovered since it was last asked. And a
            # check without a service is one of its whole node.
            if not position.index or "" in turned:
                self._ring.set()
            self.reread(turned & self._swept.keys())

        await self._reader.follow(path, position, taken, told=tell(self._sink, source))

    def _take(self, name: str, reply: Reply) -> None:
        source = self.source(name)
        if name in self._gone:
            return
        try:
            found = _instances(reply)
        except msgspec.MsgspecError as error:
            self._sink.warn(f"Consul's answer cannot be read: {error}", source=source)
            return
        (self._empty.discard if found else self._empty.add)(name)
        known = self._known.sizes.get(name, 0)
        if reply.is_filtered and len(found) < known:
            self.keep_unseen(name, f"{len(found)} of {known} instances")
        elif found:
            self._put(name, found)
        elif known and self._reader.scope.peer:
            self._emptied.add(name)
            self._news.set()

    def keep_unseen(self, name: str, seen: str) -> None:
        """The token sees less of a service than it did: what was there before stays."""
        self._sink.warn(
            f"the token sees {seen} where it saw more: what it saw stays; it needs service and "
            "node read for all that it is to see",
            source=self.source(name),
        )

    def _put(self, name: str, found: tuple[entries.Entry, ...]) -> None:
        refused: list[str] = []
        known = self._known
        about = About(
            scope=self._reader.scope,
            is_far=self._is_far,
            protocol=known.protocols.get(name),
            trust_domain=known.trust_domain,
            sidecars=known.beside(name),
        )
        records = mapping.records(name, found, refused.append, about)
        known.sizes[name] = len(found)
        # Stale beats nothing: instances of which none can be used leave what was there before.
        if not (refused and mapping.is_empty(records)):
            self._sink.put(self.source(name), records)
        for problem in dict.fromkeys(refused):
            self._sink.warn(problem, source=self.source(name))
        self.reread(known.set_sidecars(name, sidecars.of(found)))

    def _say_degraded(self) -> None:
        self._reader.host.metrics.gauge("services_in_turn", len(self._swept))
        if self._is_degraded:
            return
        self._is_degraded = True
        self._log.warning(
            "more services than connections: the rest are read in turn; raise the agent's "
            "limits.http_max_conns_per_client, and connections in the configuration",
            extra={"waited_on": len(self._tasks), "in_turn": len(self._swept)},
        )


def _path(name: str) -> str:
    return f"/v1/health/service/{quote(name, safe='')}"


def _instances(reply: Reply) -> tuple[entries.Entry, ...]:
    return entries.instances.decode(reply.content)


def _checks(reply: Reply) -> frozenset[entries.Check]:
    found = entries.read(entries.checks, reply.content, "/v1/health/state")
    return frozenset(found)
