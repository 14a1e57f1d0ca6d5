"""The services here as methods of `pilot_core.rpc`: who calls is told by TLS and metadata."""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import Iterator

from pilot_certs.caller import Call
from pilot_certs.exchange import Method, Methods, bearer
from pilot_certs.refusal import Refused
from pilot_core.rpc import call as calls
from pilot_core.rpc import handlers
from pilot_core.rpc.handlers import Dialogue
from pilot_core.rpc.status import Abort, Code

log = logging.getLogger(__name__)

_MAX_REQUEST = 64 << 10
"""Bytes of a message."""


def served(methods: Methods) -> dict[str, calls.Method]:
    """The same methods, for a server."""
    return {path: _served(method) for path, method in methods.items()}


def caller(peer: calls.Peer, metadata: dict[str, str]) -> Call:
    """Who calls, and what he brings along."""
    shown = peer.certificate
    return Call(
        peer=peer.host,
        token=bearer(metadata.get("authorization", "")),
        certificates=(ssl.DER_cert_to_PEM_cert(shown),) if shown else (),
    )


@contextlib.contextmanager
def statuses() -> Iterator[None]:
    """What is refused in here becomes a status with its opaque sentence: Abort."""
    try:
        yield
    except Refused as refused:
        log.info("refused", extra={"reason": refused.reason, "error": str(refused)})
        raise Abort(Code(refused.code), refused.opaque) from None


class _Exchange:
    """`exchange.Exchange` over a call."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self.call = caller(dialogue.peer, dialogue.metadata)

    async def receive(self) -> bytes | None:
        return await self._dialogue.receive()

    async def send(self, data: bytes) -> None:
        await self._dialogue.send(data)


def _served(method: Method) -> calls.Method:
    async def serve(dialogue: Dialogue) -> None:
        with statuses():
            await method(_Exchange(dialogue))

    return handlers.stream(serve, max_message=_MAX_REQUEST)
