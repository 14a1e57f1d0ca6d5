"""Background load: one request after the other on a few connections, and every failure counted."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec

_WORKERS = 4
_PAUSE = 0.02
"""Seconds between two requests of one worker: enough to catch a gap, little enough for a laptop."""


class Counted(msgspec.Struct):
    """What the load has seen so far."""

    total: int = 0
    failed: int = 0
    first_failures: list[str] = []


async def get(address: str, host: str, *, timeout: float = 10.0) -> tuple[int, dict[str, Any]]:
    """The status and the JSON body of `GET /` at `ip:port` with this Host header.

    Raises OSError or TimeoutError where no answer comes.
    """
    ip, _, port = address.rpartition(":")
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(ip, int(port))
        try:
            request = f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
            writer.write(request.encode())
            answer = await reader.read()
        finally:
            writer.close()
    return _parse(answer)


def _parse(answer: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2:
        raise ConnectionError("the connection was closed without an answer")
    if b"transfer-encoding: chunked" in head.lower():
        body = _unchunked(body)
    try:
        return int(words[1]), json.loads(body) if body else {}
    except ValueError:
        return int(words[1]), {"text": body.decode(errors="replace")}


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        whole, body = whole + rest[:length], rest[length + 2 :] if length else b""
    return whole


class Load:
    """Requests to one address for as long as the block lasts."""

    def __init__(self, address: str, host: str) -> None:
        self._address, self._host = address, host
        self._stop = asyncio.Event()
        self._answered = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self.counted = Counted(first_failures=[])

    async def __aenter__(self) -> Load:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._stop.set()
        if self._task is not None:
            await self._task

    async def after(self, requests: int) -> None:
        """Return when that many more have been answered."""
        target = self.counted.total + requests
        async with self._answered:
            await self._answered.wait_for(lambda: self.counted.total >= target)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as workers:
            for _ in range(_WORKERS):
                workers.create_task(self._work())

    async def _work(self) -> None:
        while not self._stop.is_set():
            await self._one()
            async with self._answered:
                self._answered.notify_all()
            await asyncio.sleep(_PAUSE)

    async def _one(self) -> None:
        try:
            status, said = await get(self._address, self._host)
            failure = "" if status == 200 else f"{status}: {said}"
        except (OSError, TimeoutError) as error:
            failure = f"{type(error).__name__}: {error}"
        self.counted.total += 1
        if failure:
            self.counted.failed += 1
            if len(self.counted.first_failures) < 5:
                self.counted.first_failures.append(failure)
