"""Ends connections that nobody reads, by their sockets: gRPC has no call for that."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import unquote

_OPEN = Path("/dev/fd")


def cut_off(port: int, peers: Collection[str]) -> int:
    """Shut down the connections that these peers have with a local port; returns how many.

    Peers are named as gRPC does: `ipv4:10.0.0.7:51234`, `ipv6:[::1]:51234`, also with the brackets
    as `%5B` and `%5D`.
    """
    wanted = {unquote(peer) for peer in peers}
    ended = 0
    for connected in _sockets():
        with connected, contextlib.suppress(OSError):
            if connected.getsockname()[1] == port and _peer(connected) in wanted:
                connected.shutdown(socket.SHUT_RDWR)
                ended += 1
    return ended


def _sockets() -> Iterator[socket.socket]:
    """The process's TCP connections, each through a descriptor of its own."""
    for name in os.listdir(_OPEN):
        with contextlib.suppress(OSError):
            found = socket.socket(fileno=os.dup(int(name)))
            if found.family in (socket.AF_INET, socket.AF_INET6):
                yield found
            else:
                found.close()


def _peer(connected: socket.socket) -> str:
    host, port, *_ = connected.getpeername()
    if connected.family is socket.AF_INET6:
        mapped = host.removeprefix("::ffff:")
        return f"ipv4:{mapped}:{port}" if "." in mapped else f"ipv6:[{host}]:{port}"
    return f"ipv4:{host}:{port}"
