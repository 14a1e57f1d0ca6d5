"""A session: one run of one adapter, from its first put to its end; the sink it is given.

Rule 1: what earlier sessions put stays until this one has synced; then what it did not put goes.
Rule 2: a refused record harms only itself: what was last put under its key stays.
Rule 3: what was put of a part that cannot be read stays, until that part has been read. A session
that has never read it, and finds nothing of it from before, is not in sync.
Rule 4: a session that has ended changes nothing any more.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from pilot_core.model import Record, RecordKey
from pilot_core.registry import admission
from pilot_core.registry.guard import Guard
from pilot_core.registry.mirror import Mirror
from pilot_core.registry.remarks import Remarks
from pilot_core.telemetry.problems import legible

log = logging.getLogger(__name__)


class _Remark(NamedTuple):
    """`is_fatal`: the object cannot be used at all."""

    text: str
    source: str
    origin: str
    is_fatal: bool


class _Block:
    """An open `resync`: what has been put in it so far."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.puts: dict[str, tuple[object, ...]] = {}
        self.remarks: list[_Remark] = []
        self.synced: list[str] = []
        """The prefixes of what was said to have been read completely."""
        self.is_open = True


# A block belongs to the task that opened it and to the tasks that it starts: what other watches of
# the same adapter put meanwhile is none of its business.
_block: ContextVar[_Block | None] = ContextVar("resync", default=None)


class Session:
    """The production `pilot_core.adapter.Sink`."""

    def __init__(
        self,
        registry: str,
        mirror: Mirror,
        *,
        guard: Guard,
        remarks: Remarks,
        on_synced: Callable[[], None],
    ) -> None:
        self._registry, self._mirror = registry, mirror
        self._guard, self._remarks, self._on_synced = guard, remarks, on_synced
        self._seen: set[str] = set()
        self._read: set[str] = set()
        """The prefixes of what has been read completely; the empty one is everything."""
        self._lost: set[str] = set()
        """Those of parts that cannot be read now."""
        self._is_synced = False
        self._is_open = True
        self._was_late = False
        self._thread = threading.get_ident()
        self._loop = _running_loop()

    @property
    def is_synced(self) -> bool:
        return self._is_synced

    def put(self, source: str, records: Iterable[Record]) -> None:
        if not self._takes(source):
            return
        fresh = tuple(records)
        block = self._block()
        if block is not None:
            block.puts[source] = fresh
        else:
            self._apply(source, fresh)

    def drop(self, source: str) -> None:
        self.put(source, ())

    @contextmanager
    def resync(self, prefix: str) -> Iterator[None]:
        if self._block() is not None:
            raise RuntimeError("resync blocks do not nest")
        outer = _block.get()
        block = _Block(self)
        _block.set(block)
        try:
            # An exception discards the block: stale beats partial.
            yield
        finally:
            block.is_open = False
            _block.set(outer)
        if self._takes(prefix):
            self._finish(block, prefix)

    def synced(self, prefix: str = "") -> None:
        block = self._block()
        if block is not None:
            block.synced.append(prefix)
            return
        if not self._takes(prefix) or prefix in self._read:
            return
        self._read.add(prefix)
        self._has_read(prefix)
        if prefix:
            self._sweep(prefix, self._seen)
        self._get_synced()

    def keep(self, prefix: str, problem: str) -> None:
        if not self._takes(prefix):
            return
        if not prefix:
            raise ValueError("where nothing can be read, the session is over: raise Unavailable")
        self._read.discard(prefix)
        self._lost.add(prefix)
        self._remarks.lose(prefix, legible(problem) or "it cannot be read")

    def known(self, prefix: str) -> frozenset[str]:
        sources = self._mirror.sources(self._registry)
        return frozenset(source for source in sources if source.startswith(prefix))

    def warn(self, problem: str, *, source: str = "", origin: str = "") -> None:
        self._remark(_Remark(problem, source, origin, is_fatal=True))

    def note(self, remark: str, *, source: str = "", origin: str = "") -> None:
        self._remark(_Remark(remark, source, origin, is_fatal=False))

    def close(self) -> None:
        """The session is over; whoever still holds the sink can do no harm with it."""
        self._is_open = False

    def _block(self) -> _Block | None:
        block = _block.get()
        return block if block is not None and block.is_open and block.session is self else None

    def _takes(self, source: object) -> bool:
        if threading.get_ident() != self._thread:
            raise self._wrong_thread()
        if not self._is_open:
            if not self._was_late:
                log.warning("call after the end of a session", extra={"registry": self._registry})
            self._was_late = True
            return False
        if not isinstance(source, str) or not _is_text(source):
            text = f"a source has to be text that UTF-8 can hold: {source!r:.60}"
            self._remarks.refuse("", repr(source)[:60], text, origin=self._registry)
            return False
        return True

    def _wrong_thread(self) -> RuntimeError:
        """Raised in a thread of the adapter's, which may well go unseen: shown here too."""
        name = threading.current_thread().name
        text = f"the sink was called from the thread {name}, and not from the event loop's"
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._report, f"{text}: nothing was put")
        return RuntimeError(text)

    def _report(self, text: str) -> None:
        if self._is_open:
            self._remarks.refuse("", "wrong thread", text, origin=self._registry)

    def _finish(self, block: _Block, prefix: str) -> None:
        for source, records in block.puts.items():
            self._apply(source, records)
        for remark in block.remarks:
            self._say(remark)
        self._has_read(prefix)
        kept = {remark.source for remark in block.remarks if remark.is_fatal}
        self._sweep(prefix, block.puts.keys() | kept)
        for read in block.synced:
            self.synced(read)
        self._get_synced()

    def _has_read(self, prefix: str) -> None:
        self._lost.discard(prefix)
        self._remarks.find(prefix)

    def _get_synced(self) -> None:
        """In sync is who has read everything, save parts that something is known of from before."""
        unknown = any(not self._knows(prefix) for prefix in self._lost)
        if self._is_synced or "" not in self._read or unknown:
            return
        self._is_synced = True
        self._remarks.settle_all_but(self._stays, self._lost)
        self._sweep("", self._seen)
        self._on_synced()

    def _knows(self, prefix: str) -> bool:
        return any(s.startswith(prefix) for s in self._mirror.sources(self._registry))

    def _stays(self, source: str) -> bool:
        return source in self._seen or source.startswith(tuple(self._lost))

    def _remark(self, remark: _Remark) -> None:
        if not self._takes(remark.source):
            return
        block = self._block()
        if block is not None:
            block.remarks.append(remark)
        else:
            self._say(remark)

    def _say(self, remark: _Remark) -> None:
        text, origin = legible(remark.text) or "without a word", legible(remark.origin)
        if not remark.is_fatal:
            self._remarks.note(remark.source, origin or text, text, origin=origin)
            return
        # The platform has the object, only it cannot be read: what was last put stays, over the
        # sweep of this session too.
        self._seen.add(remark.source)
        self._remarks.refuse(remark.source, origin or text, text, origin=origin)

    def _apply(self, source: str, fresh: tuple[object, ...]) -> None:
        self._seen.add(source)
        self._guard.settled(source)
        self._remarks.settle(source)
        known = self._mirror.records(self._registry, source)
        self._mirror.put(self._registry, source, self._admitted(source, fresh, known))

    def _admitted(
        self, source: str, fresh: tuple[object, ...], known: tuple[Record, ...]
    ) -> tuple[Record, ...]:
        """What of `fresh` gets in, and what stays in place of a record that does not."""
        before = {record.key: record for record in known}
        admitted: dict[RecordKey, Record] = {}
        for record in fresh:
            key = admission.key(record)
            old = before.get(key) if key else None
            try:
                if key in admitted:
                    raise admission.Refused(f"{admission.name(record)} is there twice")
                sound = admission.admit(record, old)
                admitted[sound.key] = sound
            except admission.Refused as refused:
                name = key[1] if key else admission.name(record)
                self._remarks.refuse(source, name, str(refused), origin=admission.place(record))
                if old is not None:
                    admitted.setdefault(old.key, old)
        return tuple(admitted.values())

    def _sweep(self, prefix: str, keep: Collection[str]) -> None:
        """Remove what starts with `prefix` and is not to be kept, if the guard lets it go."""
        sources = self._mirror.sources(self._registry)
        # Who has read something inside a part has read that much of it.
        lost = tuple(part for part in self._lost if not prefix.startswith(part))
        gone = [
            s for s in sources if s not in keep and s.startswith(prefix) and not s.startswith(lost)
        ]
        for source in self._guard.judge(gone):
            self._remarks.settle(source)
            self._mirror.put(self._registry, source, ())


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_text(source: str) -> bool:
    """Names of files that are no UTF-8 come with halves of characters in them."""
    try:
        source.encode()
    except UnicodeEncodeError:
        return False
    return True
