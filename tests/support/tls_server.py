"""A TLS server that shows a certificate of the test's choice, and writes down what it hears."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import authorities
from pilot_certs import serving
from pilot_certs.authority import Authority
from pilot_certs.public_key import allowed
from pilot_certs.spiffe import SpiffeId


@contextlib.asynccontextmanager
async def showing(authority: Authority, name: SpiffeId) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Its address, and all that its clients have said inside TLS."""
    key = authorities.key()
    issued = authority.sign(allowed(key.public_key()), name)
    context = serving.context(issued.chain, key, issued.roots)
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            while data := await reader.read(65536):
                heard.append(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heard
    finally:
        server.close()
