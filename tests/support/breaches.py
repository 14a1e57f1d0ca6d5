"""Adapters that each break one rule of the contract while they run."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NoReturn

from memory import OBJECT, Sound
from pilot_core.adapter import Finding, Sink
from pilot_core.model import Record, Service


class AsksThePlatformInCheck(Sound):
    @classmethod
    def check(cls, config: Any) -> Iterator[Finding]:
        with contextlib.suppress(OSError), socket.socket() as asking:
            asking.connect(("127.0.0.1", 1))
        yield from ()


class SyncsOnlyWithServices(Sound):
    """Takes an empty registry for one that has not started yet."""

    async def run(self, sink: Sink) -> NoReturn:
        while not self.registry().read():
            await self.registry().changed.wait()
        return await super().run(sink)


class SyncsTooEarly(Sound):
    async def run(self, sink: Sink) -> NoReturn:
        sink.synced()
        return await super().run(sink)


class SyncsHalfway(Sound):
    """Says so after the first object."""

    def put(self, sink: Sink, name: str, addresses: OBJECT) -> None:
        super().put(sink, name, addresses)
        sink.synced()


class Merges(Sound):
    """Adds to what it had put."""

    def put(self, sink: Sink, name: str, addresses: OBJECT) -> None:
        self.had = {**getattr(self, "had", {})}
        self.had[name] = tuple(dict.fromkeys((*self.had.get(name, ()), *addresses)))
        super().put(sink, name, self.had[name])


class SweepsALostPart(Sound):
    def keep(self, sink: Sink, name: str) -> None:
        """Go on with the others, as if it had gone."""


class NeverFindsAPart(Sound):
    """Warns of it as of one object, which nobody shows as a part."""

    def keep(self, sink: Sink, name: str) -> None:
        sink.warn("it cannot be read", source=name)


class ForgetsToDrop(Sound):
    def drop(self, sink: Sink, name: str) -> None:
        """Leave it there."""


class NeverLooksAgain(Sound):
    async def run(self, sink: Sink) -> NoReturn:
        for name, addresses in self.registry().read().items():
            self.put(sink, name, addresses)
        sink.synced()
        return await asyncio.Future()


class DistrustsEmptiness(Sound):
    """Takes a registry that has become empty for a broken one."""

    def drop(self, sink: Sink, name: str) -> None:
        if self.registry().objects:
            sink.drop(name)


class NeverSaysTheSame(Sound):
    """Numbers its readings in a label."""

    numbers: ClassVar[Iterator[int]] = itertools.count()

    def records(self, name: str, addresses: OBJECT) -> Iterable[Record]:
        service, endpoints = super().records(name, addresses)
        assert isinstance(service, Service)
        label = ("reading", str(next(self.numbers)))
        yield Service(hostname=service.hostname, ports=service.ports, labels=(label,))
        yield endpoints


class EndsWithABadObject(Sound):
    def put(self, sink: Sink, name: str, addresses: OBJECT) -> None:
        if not addresses:
            raise ValueError(f"{name} has no addresses")
        super().put(sink, name, addresses)


class SkipsABadObjectInSilence(Sound):
    def put(self, sink: Sink, name: str, addresses: OBJECT) -> None:
        if addresses:
            super().put(sink, name, addresses)


class DropsABadObject(Sound):
    def put(self, sink: Sink, name: str, addresses: OBJECT) -> None:
        if not addresses:
            sink.drop(name)
        super().put(sink, name, addresses)


class Returns(Sound):
    async def run(self, sink: Sink) -> NoReturn:  # type: ignore[misc]  # it is what is wrong with it
        with contextlib.suppress(Exception):
            await super().run(sink)


class CallsAnOutageABug(Sound):
    async def run(self, sink: Sink) -> NoReturn:
        try:
            await super().run(sink)
        except Exception as error:
            raise RuntimeError("lost connection") from error


class ReconnectsByItself(Sound):
    async def run(self, sink: Sink) -> NoReturn:
        while True:
            with contextlib.suppress(Exception):
                await super().run(sink)
            await self.host.clock.sleep(0.05)


class TakesAllAwayInAnOutage(Sound):
    async def run(self, sink: Sink) -> NoReturn:
        try:
            await super().run(sink)
        except Exception:
            for name in self.registry().objects:
                sink.drop(name)
            raise


class SyncsWithoutLooking(Sound):
    """Reports what it remembers."""

    async def run(self, sink: Sink) -> NoReturn:
        if not self.registry().is_up:
            sink.synced()
        return await super().run(sink)


class PutsGhosts(Sound):
    """Puts everything that it ever saw into every session."""

    async def run(self, sink: Sink) -> NoReturn:
        self.ever = {**getattr(self, "ever", {})}
        for name, addresses in self.ever.items():
            super().put(sink, name, addresses)
        return await super().run(sink)

    def put(self, sink: Sink, name: str, addresses: OBJECT) -> None:
        self.ever[name] = addresses
        super().put(sink, name, addresses)


class SwallowsCancellation(Sound):
    async def run(self, sink: Sink) -> NoReturn:
        with contextlib.suppress(asyncio.CancelledError):
            await super().run(sink)
        return await super().run(sink)


class ReturnsWhenCancelled(Sound):
    async def run(self, sink: Sink) -> NoReturn:  # type: ignore[misc]  # it is what is wrong with it
        with contextlib.suppress(asyncio.CancelledError):
            await super().run(sink)


class HangsWhileItConnects(Sound):
    """Cannot be stopped before it has synced."""

    async def run(self, sink: Sink) -> NoReturn:
        with contextlib.suppress(asyncio.CancelledError):
            for _ in range(3):
                await asyncio.sleep(0)
        return await super().run(sink)


class LeavesATask(Sound):
    async def run(self, sink: Sink) -> NoReturn:
        self.task = asyncio.create_task(asyncio.Event().wait(), name="forgotten")
        return await super().run(sink)


class LeavesAThread(Sound):
    release: ClassVar[threading.Event] = threading.Event()

    async def run(self, sink: Sink) -> NoReturn:
        threading.Thread(target=self.release.wait, name="forgotten", daemon=True).start()
        return await super().run(sink)


class LeavesASocket(Sound):
    left: ClassVar[list[socket.socket]] = []

    async def run(self, sink: Sink) -> NoReturn:
        self.left += socket.socketpair()
        return await super().run(sink)


class SharesItsState(Sound):
    """Keeps one connection for all of its kind, and closes it with the first that stops."""

    is_closed: ClassVar[list[bool]] = []

    async def run(self, sink: Sink) -> NoReturn:
        try:
            await super().run(sink)
        finally:
            self.is_closed.append(True)

    def put(self, sink: Sink, name: str, addresses: OBJECT) -> None:
        if not self.is_closed:
            super().put(sink, name, addresses)
