"""A BBS on loopback: what a real one answers, byte for byte, and its faults on command.

Its framing (chunk headers with a bare `;`), its buffer of 1,024 events per subscriber with a clean
end when that overflows, and its errors inside a status of 200 are compared with recordings.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import Callable
from email.utils import formatdate
from types import TracebackType
from typing import Any, Self

from bbs_lrps import Message, info
from pilot_adapter_cloudfoundry.wire import MESSAGES

from consul_tls import Authority

BUFFER = 1024
EVENTS = "/v1/events/lrp_instances.r1"
ACTUALS = "/v1/actual_lrps/list"
ROUTING = "/v1/desired_lrp_routing_infos/list"
DESIRED = "/v1/desired_lrps/list.r3"
DOMAINS = "/v1/domains/list"


class Subscriber:
    """One stream: what waits to be written to it, which is bounded."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.is_closed = False
        self.has_more = asyncio.Event()
        self.count = 0

    def send(self, kind: str, payload: bytes) -> None:
        if self.is_closed:
            return
        if len(self.waiting) >= BUFFER:
            self.close()
            return
        self.waiting.append(chunk(frame(self.count, kind, payload)))
        self.count += 1
        self.has_more.set()

    def close(self) -> None:
        """No more events: what waits is still sent, then the clean end."""
        self.is_closed = True
        self.has_more.set()


class FakeBbs:
    """`async with`; what it knows are its public fields, what happens are its methods."""

    def __init__(self, authority: Authority, *, name: str = "bbs.service.cf.internal") -> None:
        self.desired: dict[str, Message] = {}
        self.actual: dict[str, Message] = {}
        self.domains = ["cf-apps"]
        self.answers: dict[str, Callable[[], tuple[int, bytes]]] = {}
        """What it answers at a path instead of the truth."""
        self.hold = asyncio.Event()
        """Lists are answered while it is set."""
        self.hold.set()
        self.asked: list[str] = []
        self.certificates: list[str] = []
        """The names of the certificates that clients have shown, per connection."""
        self.subscribers: list[Subscriber] = []
        self.is_reading = asyncio.Event()
        """Streams are written while it is set: a network that stands still when it is not."""
        self.is_reading.set()
        self.port = 0
        self.authority, self._name = authority, name
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; started again, at the same port."""
        pair = self.authority.issue(self._name)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.authority.file)
        context.load_cert_chain(pair.cert, pair.key)
        context.verify_mode = ssl.CERT_REQUIRED
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=context, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self, *, gracefully: bool = True) -> None:
        """Go away: streams end cleanly, or in the middle, as when the process is killed."""
        if self._server is not None:
            self._server.close()
        if gracefully:
            for subscriber in self.subscribers:
                subscriber.close()
            await self._drained()
        for writer in tuple(self._writers):
            writer.transport.abort()
        while self._tasks:
            await self.turn()

    # What happens

    def desire(self, lrp: Message) -> None:
        """Desire it, or desire it otherwise."""
        before = self.desired.get(lrp.process_guid)
        if before is None:
            self.emit("desired_lrp_created", MESSAGES["DesiredLRPEvent"](desired_lrp=lrp))
        else:
            lrp.modification_tag.epoch = before.modification_tag.epoch
            lrp.modification_tag.index = before.modification_tag.index + 1
            event = MESSAGES["DesiredLRPChangedEvent"](before=before, after=lrp)
            self.emit("desired_lrp_changed", event)
        self.desired[lrp.process_guid] = lrp

    def undesire(self, process: str) -> None:
        lrp = self.desired.pop(process)
        self.emit("desired_lrp_removed", MESSAGES["DesiredLRPEvent"](desired_lrp=lrp))

    def run(self, lrp: Message) -> None:
        """An instance that is new, as if it had been claimed and started at once."""
        self.actual[lrp.instance_key.instance_guid] = lrp
        event = MESSAGES["ActualLRPInstanceEvent"](actual_lrp=lrp)
        self.emit("actual_lrp_instance_created", event)

    def change(self, guid: str, *, is_tagged: bool = True, epoch: str = "", **more: Any) -> None:
        """Some fields of an instance have other values: in a new version, or in a new epoch."""
        lrp = self.actual[guid]
        event = MESSAGES["ActualLRPInstanceChangedEvent"](
            key=lrp.key, instance_key=lrp.instance_key, before=info(lrp)
        )
        for name, value in more.items():
            setattr(lrp, name, value)
        if epoch:
            lrp.modification_tag.epoch, lrp.modification_tag.index = epoch, 0
        elif is_tagged:
            lrp.modification_tag.index += 1
        event.after.CopyFrom(info(lrp))
        self.emit("actual_lrp_instance_changed", event)

    def remove(self, guid: str) -> None:
        event = MESSAGES["ActualLRPInstanceEvent"](actual_lrp=self.actual.pop(guid))
        self.emit("actual_lrp_instance_removed", event)

    def emit(self, kind: str, message: Message | bytes) -> None:
        """Tell every subscriber."""
        payload = message if isinstance(message, bytes) else message.SerializeToString()
        for subscriber in self.subscribers:
            subscriber.send(kind, payload)

    async def subscribed(self, count: int = 1) -> None:
        """Wait until somebody follows."""
        while sum(not s.is_closed for s in self.subscribers) < count:
            await self.turn()

    async def turn(self) -> None:
        """Let everybody go on for a moment."""
        await asyncio.sleep(0.005)

    # How it answers

    def answer(self, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body."""
        if path in self.answers:
            return self.answers[path]()
        if path == ACTUALS:
            return 200, _list("ActualLRPsResponse", actual_lrps=self.actual.values())
        if path in (ROUTING, DESIRED):
            wanted = MESSAGES["DesiredLRPsRequest"].FromString(body).process_guids
            found = [d for g, d in self.desired.items() if not wanted or g in wanted]
            return 200, _list("DesiredLRPsResponse", desired_lrps=found)
        if path == DOMAINS:
            return 200, MESSAGES["DomainsResponse"](domains=self.domains).SerializeToString()
        return 404, b"404 page not found\n"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.certificates.append(_name(writer))
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._requests(reader, writer)
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path, body = await _request(reader)
            self.asked.append(path)
            if path == EVENTS and path not in self.answers:
                return await self._stream(reader, writer)
            await self.hold.wait()
            status, answer = self.answer(path, body)
            writer.write(_head(status, len(answer)) + answer)
            await writer.drain()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subscriber = Subscriber()
        writer.write(stream_head())
        await writer.drain()
        self.subscribers.append(subscriber)
        leaving = asyncio.ensure_future(reader.read())
        leaving.add_done_callback(lambda _: subscriber.close())
        try:
            await self._write(subscriber, writer)
        finally:
            leaving.cancel()
            self.subscribers.remove(subscriber)

    async def _write(self, subscriber: Subscriber, writer: asyncio.StreamWriter) -> None:
        while subscriber.waiting or not subscriber.is_closed:
            await subscriber.has_more.wait()
            subscriber.has_more.clear()
            while subscriber.waiting:
                await self.is_reading.wait()
                writer.write(subscriber.waiting.pop(0))
                await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _drained(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while self.subscribers:
                    await asyncio.sleep(0.005)


def error(type: int, text: str = "boom") -> Callable[[], tuple[int, bytes]]:
    """An answer that fails inside a status of 200, whatever was asked for."""
    made = MESSAGES["DomainsResponse"]()
    made.error.type, made.error.message = type, text
    return lambda: (200, made.SerializeToString())


def status(number: int) -> Callable[[], tuple[int, bytes]]:
    return lambda: (number, b"")


def frame(id: int, kind: str, payload: bytes) -> bytes:
    """One event of the stream."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (id, kind.encode(), base64.b64encode(payload))


def chunk(data: bytes) -> bytes:
    """As the BBS writes it by hand: the size, a bare semicolon, and the data."""
    return b"%x;\r\n%s\r\n" % (len(data), data)


def stream_head() -> bytes:
    return (
        "HTTP/1.1 200 OK\r\n"
        "Cache-Control: no-cache, no-store, must-revalidate\r\n"
        "Connection: keep-alive\r\n"
        "Content-Type: text/event-stream; charset=utf-8\r\n"
        f"Date: {formatdate(usegmt=True)}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode()


def _head(status: int, length: int) -> bytes:
    return (
        f"HTTP/1.1 {status} Status\r\nContent-Type: application/x-protobuf\r\n"
        f"Content-Length: {length}\r\nDate: {formatdate(usegmt=True)}\r\n\r\n"
    ).encode()


def _list(name: str, **fields: Any) -> bytes:
    made: bytes = MESSAGES[name](**fields).SerializeToString()
    return made


async def _request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *headers = head.lower().split("\r\n")
    length = next((int(h.split(":")[1]) for h in headers if h.startswith("content-length:")), 0)
    return line.split()[1], await reader.readexactly(length)


def _name(writer: asyncio.StreamWriter) -> str:
    shown = writer.get_extra_info("peercert") or {}
    return next((value for ((key, value),) in shown.get("subject", ()) if key == "commonName"), "")
