"""One kind of object of one API server, kept current: list and watch.

Rule 1: a watch that ends, is silent or is refused for its age goes on from where it was, or lists
anew; only what truly differs is told.
Rule 2: a refusal (403, 429, 5xx) harms this kind alone: what is known stays, and it is asked again
after a pause. A server that cannot be reached ends the session: that raises Unavailable.
Rule 3: an object that cannot be read harms only itself, and what it last said stays.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import aiohttp
import msgspec

from pilot_adapter_kubernetes import wire
from pilot_adapter_kubernetes.api import Api, Refused, refusal
from pilot_adapter_kubernetes.facts import key_of
from pilot_adapter_kubernetes.lines import Lines
from pilot_adapter_kubernetes.resource import Fact, Kind, meta_of
from pilot_core.adapter import Denied, Unavailable
from pilot_core.aio import Backoff
from pilot_core.clock import Clock

F = TypeVar("F", bound=Fact)

_PAGE = "500"
_WATCH_SECONDS = (300, 600)
_AT_ONCE = 200
"""Objects that are read before others get a turn of the event loop: a few milliseconds."""
_LIVED = 5.0
"""Seconds of a watch after which its end is no reason to wait before the next one."""
_INITIAL_END = "k8s.io/initial-events-end"
_WHO, _NO = 401, 403
_GONE, _TOO_OLD = 410, 504
"""504 is what a server says to a version that it has not reached: it was set back."""
_UNKNOWN_TO_OLD_SERVERS = (400, 422)

_page = msgspec.json.Decoder(wire.Page)
_event = msgspec.json.Decoder(wire.Event)
_status = msgspec.json.Decoder(wire.Status)


class Expired(Exception):
    """The server has forgotten what happened since our version: list anew."""


class Reflector(Generic[F]):
    """Calls `changed(old, new)` for every difference, and `complain(key, text)` about objects that
    cannot be read (an empty text: it can be read again)."""

    def __init__(
        self,
        api: Api,
        kind: Kind[F],
        namespace: str = "",
        *,
        clock: Clock,
        changed: Callable[[F | None, F | None], None],
        complain: Callable[[str, str], None],
        optional: bool = False,
    ) -> None:
        self._api, self._kind, self._path = api, kind, kind.path(namespace)
        self._clock, self._changed, self._complain = clock, changed, complain
        self._optional = optional
        self._known: dict[str, F] = {}
        self._unreadable: set[str] = set()
        self._unreadable_before: set[str] = set()
        self._version = ""
        self._streams = True
        self._backoff = Backoff(0.8, 30.0)
        self._trouble = ""
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """For ever. Raises Unavailable, and Denied where the very first list is refused."""
        while True:
            began = self._clock.monotonic()
            try:
                await self._round()
            except Expired:
                self._version = ""
            except Refused as refused:
                await self._refused(refused)
                continue
            if self._clock.monotonic() - began > _LIVED:
                self._backoff.reset()
            else:
                await self._clock.sleep(self._backoff.delay())

    async def _round(self) -> None:
        """List if nothing is known, then watch until the watch ends."""
        if not self._version and not self._streams:
            await self._list()
        try:
            await self._watch()
        except Refused as refused:
            if self._version or not self._streams or refused.status not in _UNKNOWN_TO_OLD_SERVERS:
                raise
            self._streams = False
            await self._list()
            await self._watch()

    async def _refused(self, refused: Refused) -> None:
        if refused.status == _GONE:
            self._version = ""
            return
        if refused.status == _TOO_OLD:
            self._version = ""
        what = f"cannot list {self._kind.plural} at {self._path}: {refused}"
        is_stranger, is_no = refused.status == _WHO, refused.status in (_WHO, _NO)
        if is_no and not self.synced.is_set() and (is_stranger or not self._optional):
            raise Denied(what)
        self._say(what)
        if self._optional and is_no:
            self.synced.set()
        pause = refused.retry_after
        if pause is None:
            pause = self._backoff.longest() if is_no else self._backoff.delay()
        await self._clock.sleep(pause)

    def _say(self, trouble: str) -> None:
        """The kind as a whole has a trouble, or has it no longer."""
        if trouble != self._trouble:
            self._trouble = trouble
            self._complain("", trouble)

    async def _list(self) -> None:
        """Everything, page by page; what is not in it any more is gone."""
        found = self._begin()
        params = {"limit": _PAGE, **self._kind.selectors}
        while True:
            async with self._api.get(self._path, params) as answer:
                page = _decoded(_page, await _body(answer))
            for raws in _portions(page.items or ()):
                for raw in raws:
                    self._take(raw, found)
                await asyncio.sleep(0)
            if not page.metadata.continue_:
                break
            params = {**params, "continue": page.metadata.continue_}
        await self._replace(found, page.metadata.resource_version)

    async def _watch(self) -> None:
        """Follow from the known version; without one, the server sends everything first."""
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(*_WATCH_SECONDS)),
            "resourceVersion": self._version,
            **self._kind.selectors,
        }
        initial: dict[str, F] | None = None
        if not self._version:
            initial = self._begin()
            params |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        async with self._api.get(self._path, params) as answer:
            if self._version:
                self._say("")
            await self._follow(answer, initial)

    async def _follow(self, answer: aiohttp.ClientResponse, initial: dict[str, F] | None) -> None:
        """Take every line until the stream ends; what of the initial events is gathered goes into
        `initial`."""
        lines = Lines()
        heard = False
        try:
            async for chunk in answer.content.iter_any():
                heard = True
                initial = await self._lines(lines.feed(chunk), initial)
                await asyncio.sleep(0)
        except TimeoutError:
            # Silence for longer than bookmarks take. Once may be a stream that died on its way; a
            # version from which nothing ever comes is one that the server never had.
            if not heard:
                raise Expired from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"watch of {self._path} broke: {error}") from error
        if initial is not None:
            raise Unavailable(f"watch of {self._path} ended before all objects had come")

    async def _lines(self, lines: list[bytes], initial: dict[str, F] | None) -> dict[str, F] | None:
        """Take them; returns what of the initial events is still being gathered."""
        for line in lines:
            end = self._line(line, initial)
            if end and initial is not None:
                await self._replace(initial, end)
                initial = None
        return initial

    def _line(self, line: bytes, initial: dict[str, F] | None) -> str:
        """Take one event; returns the version where the initial events end with it."""
        event = _decoded(_event, line)
        if event.type == "ERROR":
            raise _error(event.object)
        meta = meta_of(event.object)
        if initial is not None:
            if event.type != "BOOKMARK":
                self._take(event.object, initial)
            is_end = (meta.annotations or {}).get(_INITIAL_END) == "true"
            return meta.resource_version if is_end else ""
        if event.type == "DELETED":
            self._gone(key_of(meta))
        elif event.type != "BOOKMARK":
            self._live(event.object)
        self._version = meta.resource_version or self._version
        return ""

    def _begin(self) -> dict[str, F]:
        """A complete view is about to come: what is unreadable in it is found out anew."""
        self._unreadable_before |= self._unreadable
        self._unreadable = set()
        return {}

    def _take(self, raw: msgspec.Raw, found: dict[str, F]) -> None:
        fact = self._read(raw)
        if fact is not None:
            found[fact.key] = fact
            return
        key = key_of(meta_of(raw))
        if key in self._known:
            found[key] = self._known[key]

    def _live(self, raw: msgspec.Raw) -> None:
        fact = self._read(raw)
        if fact is not None:
            self._set(fact.key, fact)

    def _read(self, raw: msgspec.Raw) -> F | None:
        try:
            fact = self._kind.read(raw)
        except ValueError as error:
            key = key_of(meta_of(raw))
            self._unreadable.add(key)
            self._complain(key, f"{self._kind.plural} {key or 'without a name'}: {error}")
            return None
        self._readable(fact.key)
        return fact

    def _readable(self, key: str) -> None:
        if key in self._unreadable or key in self._unreadable_before:
            self._unreadable.discard(key)
            self._unreadable_before.discard(key)
            self._complain(key, "")

    def _gone(self, key: str) -> None:
        self._readable(key)
        self._set(key, None)

    def _set(self, key: str, fact: F | None) -> None:
        old = self._known.get(key)
        if old == fact:
            return
        if fact is None:
            del self._known[key]
        else:
            self._known[key] = fact
        self._changed(old, fact)

    async def _replace(self, found: dict[str, F], version: str) -> None:
        """`found` is all there is. Others get their turns in between: it may be a lot."""
        gone = [key for key in self._known if key not in found]
        for key in gone:
            self._set(key, None)
        for portion in _portions(list(found.items())):
            for key, fact in portion:
                self._set(key, fact)
            await asyncio.sleep(0)
        for key in self._unreadable_before - self._unreadable:
            self._complain(key, "")
        self._unreadable_before = set()
        self._version = version
        self._say("")
        self.synced.set()


T = TypeVar("T")


def _portions(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[i : i + _AT_ONCE] for i in range(0, len(items), _AT_ONCE))


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    try:
        return await answer.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unavailable(f"{answer.url.path} broke off: {error}") from error


def _decoded(decoder: msgspec.json.Decoder[T], raw: bytes | msgspec.Raw) -> T:
    try:
        return decoder.decode(raw)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"an answer that is none of an API server: {error}") from error


def _error(raw: msgspec.Raw) -> Exception:
    status = _decoded(_status, raw)
    if status.code == _GONE:
        return Expired()
    return refusal(status.code or 500, bytes(raw))
