"""The control plane's own certificate: shown, renewed, and never resumed beyond a root's end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import authorities
from authorities import DOMAIN, REVIEWS, Fleet
from pilot_certs import chain, serving
from pilot_certs.authority import Authority
from pilot_certs.public_key import allowed
from pilot_certs.serving import ServerCertificate
from pilot_core.clock import SystemClock
from pilot_core.testing import FakeClock


async def test_it_is_renewed_at_half_of_its_life_and_when_the_roots_change(tmp_path: Path) -> None:
    clock = FakeClock()
    authority = authorities.started(tmp_path, clock)
    own = ServerCertificate(authority, ("pilot.example",))
    first = own.context()
    assert first is own.context()

    await clock.advance(12 * 3600)
    second = own.context()
    assert second is not first

    authority.prepare(who="test", why="a test")
    assert own.context() is not second


async def test_it_carries_the_control_plane_s_identity_and_the_names_of_the_settings(
    tmp_path: Path,
) -> None:
    own = ServerCertificate(authorities.started(tmp_path, FakeClock()), ("pilot.example",))
    own.context()

    assert own.issued is not None
    leaf = chain.load(own.issued.chain[0])
    assert f"spiffe://{DOMAIN}/pilot-core/control-plane" == str(chain.name_of(leaf))
    assert b"pilot.example" in leaf.public_bytes(serving.Encoding.DER)


@asynccontextmanager
async def listening(own: ServerCertificate) -> AsyncIterator[tuple[int, list[bytes | None]]]:
    """A server with the current context of every moment; what its clients have shown, in DER."""
    shown: list[bytes | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown.append(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    first = own.context()
    first.sni_callback = lambda handshake, *_: setattr(handshake, "context", own.context())
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=first)
    try:
        yield server.sockets[0].getsockname()[1], shown
    finally:
        server.close()


def client(authority: Authority, *, shows: Authority | None = None) -> ssl.SSLContext:
    """A context that trusts what the authority says now, and shows a certificate made now."""
    made = ssl.create_default_context(cadata="".join(authority.roots))
    made.check_hostname = False
    if shows is not None:
        key = authorities.key()
        serving.load(made, shows.sign(allowed(key.public_key()), REVIEWS).chain, key)
    return made


async def said(port: int, context: ssl.SSLContext) -> bytes:
    """What the server says; nothing where it ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        return await reader.read()
    except (ssl.SSLError, ConnectionError):
        # With TLS 1.3, a client is told behind its handshake that its certificate is refused.
        return b""
    finally:
        writer.close()


async def test_a_client_may_come_with_and_without_a_certificate_but_not_with_a_strange_one(
    tmp_path: Path,
) -> None:
    authority = authorities.started(tmp_path / "ours", SystemClock())
    strange = authorities.started(tmp_path / "theirs", SystemClock())
    async with listening(ServerCertificate(authority)) as (port, shown):
        assert b"hello" == await said(port, client(authority))
        assert b"hello" == await said(port, client(authority, shows=authority))
        assert b"" == await said(port, client(authority, shows=strange))

    assert [False, True] == [bool(certificate) for certificate in shown]


async def test_a_root_that_is_dropped_is_not_trusted_by_the_next_connection(
    tmp_path: Path,
) -> None:
    authority = authorities.started(tmp_path, SystemClock())
    by = {"who": "test", "why": "a test"}
    async with listening(ServerCertificate(authority)) as (port, shown):
        authority.prepare(**by)
        both = client(authority, shows=authority)
        assert b"hello" == await said(port, both)
        authority.activate(Fleet(), force=True, **by)
        assert b"hello" == await said(port, both)
        authority.drop(authority.signers[0].id, Fleet(), force=True, **by)
        # It trusts both roots, and shows what the old one has signed.
        assert b"" == await said(port, both)

        assert b"hello" == await said(port, client(authority, shows=authority))
    assert 3 == len(shown)
