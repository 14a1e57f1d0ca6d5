"""One connection to Diego's BBS: lists, and the stream of events.

The BBS writes the headers of its chunks by hand (`46d;`), which some HTTP parsers refuse or wait
on for ever: h11, which httpx uses, reads them.

Rule 1: a status of 200 may hold an error, which is looked for first.
Rule 2: an idle stream is silent, for as long as it likes: that the other side is gone is told by
TCP and by the next list, never by a clock.
Rule 3: no error holds what the BBS has sent: environments and keys are among it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

import httpx
from httpx_sse import EventSource

from pilot_adapter_cloudfoundry import decode
from pilot_adapter_cloudfoundry.decode import BbsError, Unreadable
from pilot_adapter_cloudfoundry.diego import Listing
from pilot_adapter_cloudfoundry.https import Https, told
from pilot_adapter_cloudfoundry.lrp import Event, Seen
from pilot_adapter_cloudfoundry.tls import TlsFiles
from pilot_adapter_cloudfoundry.wire import MESSAGES
from pilot_core.adapter import Denied, Unavailable

_TIMEOUT = 60.0
"""Seconds; a list of a large foundation takes its time."""
_LARGE = 100_000
"""Bytes that take some milliseconds to read."""
_HEADERS = {"content-type": "application/x-protobuf"}
_EVENTS = "/v1/events/lrp_instances.r1"
_ACTUALS = "/v1/actual_lrps/list"
_ROUTING = "/v1/desired_lrp_routing_infos/list"
_DESIRED = "/v1/desired_lrps/list.r3"
_DOMAINS = "/v1/domains/list"
_NOT_FOUND, _MIGRATING = 404, 503


class Bbs:
    """Every method raises Unavailable or Denied, also in groups."""

    def __init__(self, url: str, files: TlsFiles) -> None:
        self._url = url
        self._https = Https(url, files, timeout=_TIMEOUT)
        self._has_routing = True

    @contextlib.asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[Event]]:
        """The stream, once the BBS has taken us as a subscriber."""
        async with self._https.stream("POST", _EVENTS, headers=_HEADERS) as response:
            _check(response)
            async with contextlib.aclosing(_read(response, self._url)) as events:
                yield events

    async def list(self) -> Listing:
        """All three lists; where one fails, all do."""
        async with asyncio.TaskGroup() as group:
            actuals = group.create_task(self._ask(_ACTUALS))
            domains = group.create_task(self._ask(_DOMAINS))
            desired = group.create_task(self.routing())
        with _told(self._url):
            return Listing(
                await _aside(decode.actuals, actuals.result()),
                desired.result(),
                decode.domains(domains.result()),
            )

    async def routing(self, processes: frozenset[str] = frozenset()) -> tuple[Seen, ...]:
        """What is desired of these processes, or of all where none is named. Older BBSs tell
        everything about a process or nothing; little of it is read."""
        message = MESSAGES["DesiredLRPsRequest"](process_guids=sorted(processes))
        body: bytes = message.SerializeToString()
        if self._has_routing:
            try:
                answer = await self._ask(_ROUTING, body)
            except _NotThere:
                self._has_routing = False
        if not self._has_routing:
            answer = await self._ask(_DESIRED, body)
        with _told(self._url):
            return await _aside(decode.desireds, answer)

    async def close(self) -> None:
        await self._https.close()

    async def _ask(self, path: str, body: bytes = b"") -> bytes:
        response = await self._https.ask("POST", path, content=body, headers=_HEADERS)
        _check(response)
        return response.content


async def _aside(read: Callable[[bytes], list[Seen]], data: bytes) -> tuple[Seen, ...]:
    """A list in a thread, where it is long: events and others do not wait for it."""
    if len(data) < _LARGE:
        return tuple(read(data))
    return tuple(await asyncio.to_thread(read, data))


class _NotThere(Unavailable):
    """This BBS does not have what was asked for."""


async def _read(response: httpx.Response, url: str) -> AsyncGenerator[Event, None]:
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_told(url))
        reading = contextlib.aclosing(EventSource(response).aiter_sse())
        frames = await stack.enter_async_context(reading)
        async for frame in frames:
            for event in decode.events(frame.event, frame.data):
                yield event


def _check(response: httpx.Response) -> None:
    status, url = response.status_code, response.request.url
    if status == _NOT_FOUND:
        raise _NotThere(f"{url} is not there (404)")
    if status == _MIGRATING:
        raise Unavailable(f"{url} is not ready yet (503)")
    if status in (401, 403):
        raise Denied(f"{url} refuses us ({status})")
    if status != 200:
        raise Unavailable(f"{url} answers {status}")


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """Errors of what was read, in our words."""
    try:
        with told(url):
            yield
    except (BbsError, Unreadable) as error:
        raise Unavailable(f"{url}: {error}") from None
