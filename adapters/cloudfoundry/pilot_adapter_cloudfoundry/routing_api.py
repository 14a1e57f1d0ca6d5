"""Following the Routing API: TCP routes by list and by event, with a token of the UAA's.

Rule: the stream is opened before the list; however it ends, everything is listed anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import NoReturn

import httpx
import msgspec
from httpx_sse import EventSource

from pilot_adapter_cloudfoundry.config import RoutingApiConfig
from pilot_adapter_cloudfoundry.https import Https, told
from pilot_adapter_cloudfoundry.tcp_table import TcpMapping, TcpTable
from pilot_adapter_cloudfoundry.tls import TlsFiles
from pilot_adapter_cloudfoundry.uaa import Uaa
from pilot_core.adapter import Denied, Host, Unavailable

_TIMEOUT = 30.0
_ROUTES = "/routing/v1/tcp_routes"
_EVENTS = f"{_ROUTES}/events"
_UPSERT, _DELETE = "Upsert", "Delete"

_list = msgspec.json.Decoder(list[TcpMapping] | None)
_mapping = msgspec.json.Decoder(TcpMapping)


class RoutingApi:
    """`table` outlives sessions."""

    def __init__(self, config: RoutingApiConfig, uaa: Uaa, host: Host) -> None:
        self.table = TcpTable()
        self._config, self._uaa, self._host = config, uaa, host
        self._files = TlsFiles(config.ca_file, config.cert_file, config.key_file)

    async def run(self, has_read: Callable[[], None], on_change: Callable[[], None]) -> NoReturn:
        """Follow until the stream ends. Raises Unavailable or Denied, also in groups."""
        https = Https(self._config.url, self._files, timeout=_TIMEOUT)
        self.table.ask()
        try:
            async with self._events(https) as events, asyncio.TaskGroup() as group:
                group.create_task(self._lists(https, has_read, on_change))
                async for kind, mapping in events:
                    take = self.table.upsert if kind == _UPSERT else self.table.delete
                    take(mapping)
                    on_change()
                raise Unavailable(f"{self._config.url} has ended the stream of events")
        finally:
            await https.close()
        raise AssertionError("not reached: the stream ends by an error only")

    async def _lists(
        self, https: Https, has_read: Callable[[], None], on_change: Callable[[], None]
    ) -> NoReturn:
        while True:
            response = await https.ask("GET", _ROUTES, headers=await self._uaa.headers())
            self._check(response)
            try:
                found = _list.decode(response.content)
            except msgspec.MsgspecError as error:
                raise Unavailable(f"{self._config.url} answers no routes: {error}") from None
            self.table.listed(found or ())
            on_change()
            has_read()
            await self._host.clock.sleep(self._config.resync)
            self.table.ask()

    @contextlib.asynccontextmanager
    async def _events(self, https: Https) -> AsyncIterator[AsyncIterator[tuple[str, TcpMapping]]]:
        headers = await self._uaa.headers()
        async with https.stream("GET", _EVENTS, headers=headers) as response:
            self._check(response)
            async with contextlib.aclosing(self._read(response)) as events:
                yield events

    async def _read(self, response: httpx.Response) -> AsyncGenerator[tuple[str, TcpMapping], None]:
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(told(self._config.url))
            reading = contextlib.aclosing(EventSource(response).aiter_sse())
            frames = await stack.enter_async_context(reading)
            async for frame in frames:
                if frame.event in (_UPSERT, _DELETE):
                    yield frame.event, self._decoded(frame.data)

    def _decoded(self, data: str) -> TcpMapping:
        try:
            return _mapping.decode(data)
        except msgspec.MsgspecError as error:
            raise Unavailable(f"{self._config.url} tells of no route: {error}") from None

    def _check(self, response: httpx.Response) -> None:
        if response.status_code == 401:
            self._uaa.refuse()
        if response.status_code in (401, 403):
            raise Denied(f"{self._config.url} refuses our token ({response.status_code})")
        if response.status_code != 200:
            raise Unavailable(f"{self._config.url} answers {response.status_code}")
