"""Who is at the other end of a Unix socket, and which identities are his.

The kernel says it (SO_PEERCRED): the user that connected, whatever process holds the socket later.
Nobody gets anything that no entry names.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from pilot_certs.spiffe import SpiffeId

_CREDENTIALS = struct.Struct("3i")


class Peer(NamedTuple):
    """A process on this machine, as it was when it connected."""

    pid: int
    uid: int
    gid: int


class Entry(msgspec.Struct, frozen=True):
    """A workload that runs here, and the user that it runs as."""

    name: SpiffeId
    uid: int


def of(connected: socket.socket) -> Peer:
    """Raises OSError for a socket that is not a Unix one."""
    if connected.family != socket.AF_UNIX:
        raise OSError("only on a Unix socket it is known who connects")
    size = _CREDENTIALS.size
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return Peer(*_CREDENTIALS.unpack(raw))


def preferring(names: tuple[SpiffeId, ...], account: str) -> tuple[SpiffeId, ...]:
    """The same identities, with that one first which somebody says is his. It decides only which
    of his own he gets where he names none."""
    return tuple(
        sorted(names, key=lambda name: not name.path.endswith(account)) if account else names
    )


def allowed(peer: Peer, entries: Sequence[Entry]) -> tuple[SpiffeId, ...]:
    """His identities, in the order of the entries."""
    return tuple(entry.name for entry in entries if entry.uid == peer.uid)
