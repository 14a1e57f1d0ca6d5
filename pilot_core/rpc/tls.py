"""TLS between a socket and HTTP/2, on the standard library's `ssl`, without a socket.

asyncio's own keeps a quarter of a megabyte of buffers for every connection, and takes one context
for the life of a server. Here a connection costs what OpenSSL needs, and is made with the context
of its day: certificates rotate without a restart.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from pathlib import Path

ContextSource = Callable[[], ssl.SSLContext]
"""The context for a connection that is being opened now."""
_ALPN = "h2"
_CHUNK = 64 << 10


class TlsRefused(Exception):
    """The peer cannot be spoken to: the words say why."""


def server_context(
    cert_file: Path, key_file: Path, *, ca_file: Path | None = None, is_required: bool = False
) -> ssl.SSLContext:
    """A context that shows this certificate, and asks for one of the client's if `ca_file` says
    who may issue it. Raises OSError, of which ssl.SSLError is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    if ca_file is not None:
        context.load_verify_locations(ca_file)
        context.verify_mode = ssl.CERT_REQUIRED if is_required else ssl.CERT_OPTIONAL
    return context


def harden(context: ssl.SSLContext) -> None:
    """What every context of ours has, however it was made."""
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    # A ticket would let a client come back past a certificate that is no longer good.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    context.set_alpn_protocols([_ALPN])


class TlsLayer:
    """One connection."""

    __slots__ = ("_incoming", "_object", "_outgoing", "certificate", "is_closed", "is_up")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.is_up = False
        """Is the handshake done?"""
        self.is_closed = False
        """Has the peer said that nothing more comes?"""
        self.certificate: bytes | None = None
        """The peer's, in DER, once the handshake is done; None if it has shown none."""

    def receive(self, data: bytes) -> bytes:
        """What the peer says in these bytes. Raises TlsRefused; `take` what it is to be told."""
        self._incoming.write(data)
        try:
            return self._read() if self.is_up or self._shake_hands() else b""
        except ssl.SSLError as error:
            raise TlsRefused(f"{error.reason or error}".lower().replace("_", " ")) from None

    def send(self, parts: Iterable[bytes | memoryview]) -> None:
        """Encrypt these bytes, to be taken."""
        data = memoryview(b"".join(parts))
        while data:
            data = data[self._object.write(data) :]

    def take(self) -> bytes:
        """What is to be written to the socket; it is forgotten here."""
        return self._outgoing.read()

    def close(self) -> None:
        """Say that nothing more comes."""
        try:
            self._object.unwrap()
        except ssl.SSLError:
            # The peer has not said so too, and need not.
            return

    def _shake_hands(self) -> bool:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        if self._object.selected_alpn_protocol() != _ALPN:
            raise TlsRefused("the client does not offer HTTP/2 (ALPN h2)")
        self.is_up = True
        self.certificate = self._object.getpeercert(binary_form=True)
        return True

    def _read(self) -> bytes:
        parts = []
        while not self.is_closed:
            try:
                part = self._object.read(_CHUNK)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                part = b""
            self.is_closed = not part
            parts.append(part)
        return b"".join(parts)
