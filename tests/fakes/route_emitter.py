"""What tells routes over NATS: it repeats all that there is, and for a while all that is gone.

async with RouteEmitter(nats.url) as emitter:
    emitter.register("cart.example.com", "10.1.0.1", id="guid-1")
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from types import TracebackType
from typing import Any, Self

import nats
from nats.aio.client import Client

INTERVAL = 0.05
Message = dict[str, Any]


def registration(uri: str, address: str, *, id: str, port: int = 61001) -> Message:
    """As an emitter forms it for an instance behind its own TLS proxy."""
    return {
        "uris": [uri],
        "host": address,
        "port": port - 1,
        "tls_port": port,
        "server_cert_domain_san": id,
        "private_instance_id": id,
        "private_instance_index": "0",
        "app": f"app-of-{uri.partition('/')[0]}",
        "protocol": "http1",
        "tags": {"component": "route-emitter"},
    }


class RouteEmitter:
    """Its messages are public: a test may change what it is about to say."""

    def __init__(self, url: str, *, tls: ssl.SSLContext | None = None) -> None:
        self.url, self._tls = url, tls
        self.there: dict[tuple[str, str], Message] = {}
        """Registered, by URI and address."""
        self.gone: dict[tuple[str, str], Message] = {}
        self.spoilt: set[str] = set()
        """URIs whose messages name a host that is no address."""
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None

    def register(self, uri: str, address: str, *, id: str, **more: Any) -> None:
        self.gone.pop((uri, address), None)
        self.there[uri, address] = {**registration(uri, address, id=id), **more}

    def unregister(self, uri: str, address: str) -> None:
        self.gone[uri, address] = self.there.pop((uri, address))

    async def publish(self, subject: str, said: Message | bytes) -> None:
        """Say one thing, once."""
        assert self._client is not None
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        await self._client.publish(subject, data)
        await self._client.flush()

    async def connect(self) -> None:
        self._client = await nats.connect(
            self.url, error_cb=_ignored, allow_reconnect=False, tls=self._tls
        )
        self._task = asyncio.create_task(self._repeat(self._client))

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, nats.errors.Error):
                await self._task
        if self._client is not None:
            await self._client.close()
        self._task = self._client = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _repeat(self, client: Client) -> None:
        while True:
            # No flush in here: it may lose the cancellation before Python 3.12.
            # Who takes over an address says so after the other has left, as it happens there.
            for message in tuple(self.gone.values()):
                await client.publish("router.unregister", json.dumps(message).encode())
            for (uri, _), message in tuple(self.there.items()):
                said = {**message, "host": "cell-7"} if uri in self.spoilt else message
                await client.publish("router.register", json.dumps(said).encode())
            await asyncio.sleep(INTERVAL)


async def _ignored(error: Exception) -> None:
    """A server that goes away is what tests are about."""
