"""A call as the services here see it, whatever carries it: messages in and out, and who calls.

Rule 1: a service knows no transport, and a transport no service: they share `Method`.
Rule 2: a `Refused` that leaves a method becomes a status with its opaque sentence, no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias

from pilot_certs.caller import Call


class Exchange(Protocol):
    """One call. A unary one receives and sends one message."""

    @property
    def call(self) -> Call:
        """Who calls, and what he brings along."""

    async def receive(self) -> bytes | None:
        """The next message; None when the client has said all that it will."""

    async def send(self, data: bytes) -> None:
        """Answer. Raises ConnectionError where the client is gone."""


Method: TypeAlias = Callable[[Exchange], Awaitable[None]]
"""Serves one call. Raises Refused."""
Methods: TypeAlias = Mapping[str, Method]
"""By path: `/package.Service/Method`."""

_BEARER = "bearer "


def bearer(authorization: str) -> str:
    """The token in an `authorization` header; empty where it carries none."""
    is_bearer = authorization[: len(_BEARER)].lower() == _BEARER
    return authorization[len(_BEARER) :].strip() if is_bearer else ""
