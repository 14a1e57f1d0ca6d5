"""Catalogue documents in Consul's keys: each key is read as a file is.

Rule 1: what one answer says is put at once: keys that a transaction writes together come together.
Rule 2: a document that cannot be read keeps what its key last said, and is shown with its place.
Rule 3: keys are gone when the leader says so to a token that sees services; an answer that is
filtered, or comes of a token that sees nothing, takes nothing away.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Mapping
from typing import NoReturn
from urllib.parse import quote

import msgspec

from pilot_adapter_consul import entries, listing
from pilot_adapter_consul.agent import Reply
from pilot_adapter_consul.position import Position
from pilot_adapter_consul.reader import Reader, tell
from pilot_core.adapter import ConfigError, Finding, Sink
from pilot_core.dialects import catalogue
from pilot_core.dialects.catalogue import Catalogue
from pilot_core.dialects.complaints import complain

_PREFIX = "kv/"


class Document(msgspec.Struct, frozen=True):
    """What is known of one key."""

    revision: int
    said: Catalogue | None
    """What it said when it could last be read; None where it never could."""
    failure: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.failure or (self.said.refused if self.said else ())


class Documents:
    """The keys under one prefix; `known` is kept over all sessions."""

    def __init__(self, prefix: str, reader: Reader, sink: Sink, known: dict[str, Document]) -> None:
        self._prefix, self._path = prefix, f"/v1/kv/{quote(prefix)}?recurse="
        self._reader, self._sink, self._known = reader, sink, known
        self._source = f"{reader.scope.prefix}{_PREFIX}"
        self._about = f"{reader.scope.prefix}keys"
        self._position = Position()
        self._changed = asyncio.Event()

    async def read(self) -> None:
        """All keys, once. Raises Unavailable and Denied."""
        reply = await self._reader.ask(self._path, absent=b"[]")
        self._position.advance(reply.index)
        await self._take(reply)

    async def follow(self) -> NoReturn:
        """Every change of them, for ever. Raises Unavailable and Denied."""
        latest: list[Reply] = []

        def taken(reply: Reply) -> None:
            latest[:] = [reply]
            self._changed.set()

        async with asyncio.TaskGroup() as group:
            told = tell(self._sink, self._about)
            group.create_task(
                self._reader.follow(self._path, self._position, taken, told=told, absent=b"[]")
            )
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._take(latest[0])
        raise AssertionError("not reached: a task group ends by an error only")

    async def _take(self, reply: Reply) -> None:
        found = _pairs(self._path, reply)
        unseen: set[str] = set()
        if self._known.keys() - found.keys():
            reply = await self._reader.ask(self._path, is_decisive=True, absent=b"[]")
            found = _pairs(self._path, reply)
            unseen = set(self._known) - found.keys()
            await listing.confirm(self._reader)
            if not reply.is_filtered:
                for key in unseen:
                    del self._known[key]
                unseen = set()
        for key, pair in found.items():
            self._known[key] = _document(key, pair, self._known.get(key))
        self._put(unseen)

    def _put(self, unseen: Iterable[str]) -> None:
        self._sink.drop(self._about)
        if not self._known:
            self._sink.note(
                f'there are no keys under "{self._prefix}", or the token may not read them: it '
                f'needs key_prefix "{self._prefix}" read',
                source=self._about,
            )
        with self._sink.resync(self._source):
            for key, document in self._known.items():
                source = f"{self._source}{key}"
                if document.said is not None:
                    self._sink.put(source, document.said.records)
                complain(self._sink, source, document.findings)
            for key in sorted(unseen):
                self._sink.warn(
                    "the token does not see this key any more: what it said stays",
                    source=f"{self._source}{key}",
                    origin=key,
                )


def _document(key: str, pair: entries.Pair, before: Document | None) -> Document:
    if before is not None and before.revision == pair.modify_index:
        return before
    said = before.said if before else None
    try:
        content = base64.b64decode(pair.value or "")
        return Document(
            pair.modify_index,
            catalogue.read(content, key, before=said or catalogue.NOTHING),
        )
    except ConfigError as error:
        return Document(pair.modify_index, said, error.findings)


def _pairs(path: str, reply: Reply) -> Mapping[str, entries.Pair]:
    """By key; folders, which are keys that end with a slash and say nothing, are left out."""
    found = entries.read(entries.pairs, reply.content, path)
    return {pair.key: pair for pair in found if pair.value or not pair.key.endswith("/")}
