"""The port for mutual TLS: ADS for proxies that prove who they are, and the certificate services.

Rule 1: whoever connects may come without a certificate, to ask for one. Configuration is given to
those only who have proved who they are, and each proof is looked at anew for every stream.
Rule 2: a refusal carries an opaque sentence; the reason is in the log, the audit log and problems.
"""

from __future__ import annotations

import logging
import ssl

from pilot_certs import served
from pilot_certs.caller import Authenticator
from pilot_certs.exchange import Methods
from pilot_certs.refusal import Refused, Unauthenticated
from pilot_certs.serving import ServerCertificate
from pilot_core.rpc.call import Call
from pilot_xds.fleet import Fleet
from pilot_xds.server import XdsServer
from pilot_xds.services.health import HealthService

log = logging.getLogger(__name__)


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
        self._server = XdsServer(
            fleet,
            listen,
            # Not client status: nobody who has an identity may read everybody's configuration.
            methods=served.served(methods) | health.methods(),
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

    async def _proved(self, call: Call) -> str:
        """The identity of who calls. Raises Abort."""
        with served.statuses():
            said = served.caller(call.peer, call.metadata)
            for proof in self._proofs:
                caller = await proof.authenticate(said)
                if caller is not None and caller.identities:
                    return str(caller.identities[0])
            raise Unauthenticated(
                "no-credentials", "no certificate, and no token that proves anything"
            )
