"""Who has proved to be whom, by the addresses that they say they have.

A proxy is looked at when it comes. The world goes on: an address can become somebody else's while
the proxy is connected, and what is served there is not for it then.
"""

from __future__ import annotations

from collections.abc import Iterable

from pilot_core.model import World
from pilot_xds import claims
from pilot_xds.claims import Impostor
from pilot_xds.complaints import Complaints
from pilot_xds.connection import Connection


class Proved:
    """Connections with an identity. What a change costs is the number of addresses in it."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints
        self._by_address: dict[str, set[Connection]] = {}

    def add(self, connection: Connection) -> None:
        for address in _addresses(connection):
            self._by_address.setdefault(address, set()).add(connection)

    def remove(self, connection: Connection) -> None:
        for address in _addresses(connection):
            known = self._by_address.get(address, set())
            known.discard(connection)
            if not known:
                self._by_address.pop(address, None)

    def look(self, world: World, addresses: Iterable[str]) -> None:
        """End the streams of those whose address is somebody else's now."""
        for address in addresses:
            for connection in tuple(self._by_address.get(address, ())):
                self._look(world, connection)

    def _look(self, world: World, connection: Connection) -> None:
        assert connection.proxy is not None
        try:
            claims.check_owners(connection.proxy, connection.identity, world)
        except Impostor as error:
            proxy_id, peer = connection.proxy.id, connection.peer
            self._complaints.denied(proxy_id, connection.identity, peer, str(error))
            connection.deny()


def _addresses(connection: Connection) -> tuple[str, ...]:
    return connection.proxy.addresses if connection.identity and connection.proxy else ()
