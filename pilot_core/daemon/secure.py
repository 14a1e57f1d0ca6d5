"""The port for mutual TLS: ADS for proxies that prove who they are, and the certificate services.

Rule 1: whoever connects may come without a certificate, to ask for one. Configuration is given to
those only who have proved who they are, and each proof is looked at anew for every stream.
Rule 2: a refusal carries an opaque sentence; the reason is in the log, the audit log and problems.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import Iterator

from pilot_certs import exchange
from pilot_certs.caller import Authenticator, Call
from pilot_certs.exchange import Methods, bearer
from pilot_certs.refusal import Refused, Unauthenticated
from pilot_certs.serving import ServerCertificate
from pilot_core.rpc import call as calls
from pilot_core.rpc import handlers
from pilot_core.rpc.handlers import Dialogue
from pilot_core.rpc.status import Abort, Code
from pilot_xds.fleet import Fleet
from pilot_xds.server import XdsServer
from pilot_xds.services.health import HealthService

log = logging.getLogger(__name__)

_MAX_REQUEST = 64 << 10
"""Bytes of a message to the certificate services."""


class SecureListener:
    """One TLS port. `methods` are the certificate services; ADS is its own."""

    def __init__(
        self,
        fleet: Fleet,
        listen: str,
        *,
        methods: Methods,
        health: HealthService,
        proofs: tuple[Authenticator, ...],
        certificate: ServerCertificate,
    ) -> None:
        """`proofs` are what a proxy may prove itself with on ADS; they must not be used up."""
        self._proofs, self._certificate = proofs, certificate
        self._context: ssl.SSLContext | None = None
        services = {path: _service(method) for path, method in methods.items()}
        self._server = XdsServer(
            fleet,
            listen,
            # Not client status: nobody who has an identity may read everybody's configuration.
            methods=services | health.methods(),
            tls=self._current,
            prove=self._proved,
        )

    @property
    def address(self) -> str:
        """With the real port; known once it listens."""
        return self._server.address

    async def start(self) -> None:
        """Listen. Raises OSError, NotReady."""
        self._context = self._certificate.context()
        await self._server.start()

    async def drain(self, seconds: float) -> None:
        """End the streams spread over that time, then the rest."""
        await self._server.drain(seconds)

    async def stop(self) -> None:
        await self._server.stop()

    def _current(self) -> ssl.SSLContext:
        """For a connection that is being opened: so nobody has to be cut off for a new one."""
        try:
            self._context = self._certificate.context()
        except Refused as refused:
            log.error("no fresh certificate", extra={"error": str(refused)})
            if self._context is None:
                raise
        return self._context

    async def _proved(self, call: calls.Call) -> str:
        """The identity of who calls. Raises Abort."""
        with _statuses():
            said = _call(call.peer, call.metadata)
            for proof in self._proofs:
                caller = await proof.authenticate(said)
                if caller is not None and caller.identities:
                    return str(caller.identities[0])
            raise Unauthenticated(
                "no-credentials", "no certificate, and no token that proves anything"
            )


class _Exchange:
    """`exchange.Exchange` over a call."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self.call = _call(dialogue.peer, dialogue.metadata)

    async def receive(self) -> bytes | None:
        return await self._dialogue.receive()

    async def send(self, data: bytes) -> None:
        await self._dialogue.send(data)


def _service(method: exchange.Method) -> calls.Method:
    async def serve(dialogue: Dialogue) -> None:
        with _statuses():
            await method(_Exchange(dialogue))

    return handlers.stream(serve, max_message=_MAX_REQUEST)


def _call(peer: calls.Peer, metadata: dict[str, str]) -> Call:
    shown = peer.certificate
    return Call(
        peer=peer.host,
        token=bearer(metadata.get("authorization", "")),
        certificates=(ssl.DER_cert_to_PEM_cert(shown),) if shown else (),
    )


@contextlib.contextmanager
def _statuses() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        log.info("refused", extra={"reason": refused.reason, "error": str(refused)})
        raise Abort(Code(refused.code), refused.opaque) from None
