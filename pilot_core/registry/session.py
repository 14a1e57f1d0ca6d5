"""A session: one run of one adapter, from its first put to its end; the sink it is given.

Rule 1: what earlier sessions put stays until this one has synced; then what it did not put goes.
Rule 2: a refused record harms only itself: what was last put under its key stays.
Rule 3: a session that has ended changes nothing any more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from pilot_core.model import Record, RecordKey
from pilot_core.registry import admission
from pilot_core.registry.guard import Guard
from pilot_core.registry.mirror import Mirror
from pilot_core.registry.refusals import Refusals

log = logging.getLogger(__name__)


class _Block:
    """An open `resync`: what has been put in it so far."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.puts: dict[str, tuple[object, ...]] = {}
        self.warnings: list[tuple[str, str, str]] = []
        self.is_open = True
        self.is_synced = False


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
        refusals: Refusals,
        on_synced: Callable[[], None],
    ) -> None:
        self._registry, self._mirror = registry, mirror
        self._guard, self._refusals, self._on_synced = guard, refusals, on_synced
        self._seen: set[str] = set()
        self._is_synced = False
        self._is_open = True
        self._was_late = False
        self._thread = threading.get_ident()

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

    def synced(self) -> None:
        block = self._block()
        if block is not None:
            block.is_synced = True
            return
        if self._is_synced or not self._takes(""):
            return
        self._is_synced = True
        self._refusals.settle_all_but(self._seen)
        self._sweep("", self._seen)
        self._on_synced()

    def warn(self, problem: str, *, source: str = "", origin: str = "") -> None:
        if not self._takes(source):
            return
        block = self._block()
        if block is not None:
            block.warnings.append((problem, source, origin))
        else:
            self._warn(problem, source, origin)

    def close(self) -> None:
        """The session is over; whoever still holds the sink can do no harm with it."""
        self._is_open = False

    def _block(self) -> _Block | None:
        block = _block.get()
        return block if block is not None and block.is_open and block.session is self else None

    def _takes(self, source: object) -> bool:
        if threading.get_ident() != self._thread:
            raise RuntimeError("the sink was called from another thread than the event loop's")
        if not self._is_open:
            if not self._was_late:
                log.warning("call after the end of a session", extra={"registry": self._registry})
            self._was_late = True
            return False
        if not isinstance(source, str):
            self._refusals.refuse("", repr(source)[:60], f"a source has to be text: {source!r:.60}")
            return False
        return True

    def _finish(self, block: _Block, prefix: str) -> None:
        for source, records in block.puts.items():
            self._apply(source, records)
        for warning in block.warnings:
            self._warn(*warning)
        self._sweep(prefix, block.puts.keys() | {source for _, source, _ in block.warnings})
        if block.is_synced:
            self.synced()

    def _warn(self, problem: str, source: str, origin: str) -> None:
        # The platform has the object, only it cannot be read: what was last put stays, over the
        # sweep of this session too.
        self._seen.add(source)
        self._refusals.refuse(source, origin or problem, problem, origin=origin)

    def _apply(self, source: str, fresh: tuple[object, ...]) -> None:
        self._seen.add(source)
        self._guard.settled(source)
        self._refusals.settle(source)
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
                sound = _sound(old, record)
                admitted[sound.key] = sound
            except admission.Refused as refused:
                name = key[1] if key else admission.name(record)
                self._refusals.refuse(source, name, str(refused), origin=_place(record))
                if old is not None:
                    admitted.setdefault(old.key, old)
        return tuple(admitted.values())

    def _sweep(self, prefix: str, keep: Collection[str]) -> None:
        """Remove what starts with `prefix` and is not to be kept, if the guard lets it go."""
        sources = self._mirror.sources(self._registry)
        gone = [s for s in sources if s not in keep and s.startswith(prefix)]
        for source in self._guard.judge(gone):
            self._refusals.settle(source)
            self._mirror.put(self._registry, source, ())


def _sound(old: Record | None, record: object) -> Record:
    """The record as it gets in. Raises Refused."""
    if old is not None and old == record:
        return _renewed(old, record)
    return admission.admit(record)


def _renewed(old: Record, record: object) -> Record:
    """The record as it is known, standing where it was found this time."""
    place = _place(record)
    if place == old.origin.place:
        return old
    return msgspec.structs.replace(old, origin=msgspec.structs.replace(old.origin, place=place))


def _place(record: object) -> str:
    place = getattr(getattr(record, "origin", None), "place", "")
    return place if isinstance(place, str) else ""
