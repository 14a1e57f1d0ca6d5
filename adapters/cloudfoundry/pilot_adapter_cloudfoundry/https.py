"""Speaking HTTPS with the foundation's own components.

Rule 1: no error holds what was sent or answered: secrets are among it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import httpx
from httpx_sse import SSEError

from pilot_adapter_cloudfoundry.tls import TlsFiles
from pilot_core.adapter import Denied, Unavailable

_CONNECT = 10.0
_PATIENCE = 2.0
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]


class Https:
    """One server. Its certificates are read again when they have changed."""

    def __init__(self, url: str, files: TlsFiles, *, timeout: float) -> None:
        self.url = url
        self._files, self._timeout = files, timeout
        self._context: ssl.SSLContext | None = None
        self._client: httpx.AsyncClient | None = None

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One question. Raises Unavailable or Denied where there is no answer; `path` may be a
        whole URL."""
        with told(self.url):
            client = await self._current()
            return await _to_its_end(client.request(method, path, **more))

    @contextlib.asynccontextmanager
    async def stream(self, method: str, path: str, **more: Any) -> AsyncIterator[httpx.Response]:
        """An answer that is read as it comes, however long it pauses."""
        with told(self.url):
            client = self._open(read=None)
        try:
            with told(self.url):
                request = client.build_request(method, path, **more)
                response = await _to_its_end(client.send(request, stream=True))
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            await client.aclose()

    async def close(self) -> None:
        client, self._client, self._context = self._client, None, None
        if client is not None:
            await client.aclose()

    async def _current(self) -> httpx.AsyncClient:
        context = self._files.context()
        old = self._client
        if old is not None and context is self._context:
            return old
        self._client, self._context = self._open(self._timeout), context
        made = self._client
        if old is not None:
            await old.aclose()
        return made

    def _open(self, read: float | None) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(
            verify=self._files.context(), socket_options=_KEEPALIVE, trust_env=False
        )
        timeout = httpx.Timeout(_CONNECT, read=read)
        return httpx.AsyncClient(
            base_url=self.url, transport=transport, timeout=timeout, trust_env=False
        )


async def _to_its_end(asking: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
    """The answer. Who is cancelled meanwhile lets it come, for a moment: a connection that is given
    up in the middle of its handshake is closed by nobody (httpcore, anyio's backend)."""
    task = asyncio.ensure_future(asking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_PATIENCE)
        task.cancel()
        [result] = await asyncio.gather(task, return_exceptions=True)
        if isinstance(result, httpx.Response):
            await result.aclose()
        raise


@contextlib.contextmanager
def told(url: str) -> Iterator[None]:
    """Errors of the network in the contract's words."""
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError, SSEError, ssl.SSLError, OSError) as error:
        text = _reason(error)
        if _is_certificate(text):
            raise Denied(f"{url}: a certificate is refused, ours or theirs: {text}") from None
        raise Unavailable(f"{url}: {text}") from None


def _reason(error: BaseException) -> str:
    """A peer's refusal of our certificate comes with the first read, and as the cause of others."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLError):
            return found.reason or str(found)
        found = found.__cause__ or found.__context__
    if isinstance(error, httpx.ReadError):
        # A refusal is often lost with the connection that it comes over.
        return "closed without an answer, as where it does not accept who we are"
    return str(error) or type(error).__name__


def _is_certificate(text: str) -> bool:
    low = text.lower()
    return any(word in low for word in ("certificate", "unknown ca", "unknown_ca"))
