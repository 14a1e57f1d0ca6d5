"""What a server takes: connections, and the time that each may leave it waiting."""

from __future__ import annotations

import enum
import resource

import msgspec

from pilot_core.http2.limits import Limits

_RESERVED = 200
"""Descriptors for everything but clients: adapters' sessions, files, the database."""


class Cut(enum.StrEnum):
    """Why a connection was refused or cut off."""

    TOO_MANY = "too-many"
    HANDSHAKE = "handshake"
    PROTOCOL = "protocol"
    SILENT = "silent"
    NOT_READING = "not-reading"


def _connections() -> int:
    """Half of what the process has descriptors for: it may listen at two places."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (soft - _RESERVED) // 2) if soft > 0 else 1 << 20


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Times are seconds."""

    http2: Limits = Limits()
    connections: int = msgspec.field(default_factory=_connections)
    share_of_a_host: float = 0.75
    """Of the connections, at most, that one address may have: proxies may well share one, but none
    may leave nothing for the others."""
    handshake: float = 5.0
    """For TLS, and until HTTP/2 is agreed upon; for a header block to be completed, too."""
    silence: float = 30.0
    """After which a client is asked for a sign of life."""
    answer: float = 20.0
    """For that sign."""
    taking: float = 30.0
    """For a client to take a message that it is sent."""
    partial: int = 8 << 20
    """Bytes of messages that are not complete, on one connection."""
    goodbye: float = 1.0
    """For a client to close its end, when it has been told that the connection is over."""
