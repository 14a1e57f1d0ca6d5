"""What a transport is: something that carries bytes between clients and connections.

It makes a `Connection` for every stream, feeds it requests, writes what it hands out one at a time,
and ends it. That is all it may know of xDS, so that gRPC's own implementation and one made for
this single purpose can stand in for each other.
"""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """One listening socket."""

    @property
    def address(self) -> str:
        """Where it listens, with the real port: `127.0.0.1:15010`."""

    async def start(self) -> None:
        """Listen. Raises OSError where the address cannot be had."""

    async def drain(self, seconds: float) -> None:
        """Accept nobody new, and end the open streams spread over that time, so that clients do
        not all come back to another server at once."""

    async def stop(self) -> None:
        """End what is left."""
