"""The xDS server: one listening socket, plaintext or TLS, with ADS and the services beside it."""

from __future__ import annotations

from collections.abc import Mapping

from pilot_core.rpc.call import Method
from pilot_core.rpc.limits import Cut, ServerLimits
from pilot_core.rpc.server import Server
from pilot_core.rpc.tls import ContextSource
from pilot_xds.ads import Ads, Prove
from pilot_xds.fleet import Fleet
from pilot_xds.services import reflection


class XdsServer:
    """Serves the fleet at one address; two of them, plaintext and TLS, may serve the same fleet.

    `methods` are those of further services, by path, besides ADS and reflection; `tls` is as in
    `pilot_core.rpc`. With `prove`, a client has to prove its identity before it is listened to.
    """

    def __init__(
        self,
        fleet: Fleet,
        listen: str,
        *,
        methods: Mapping[str, Method],
        tls: ContextSource | None = None,
        prove: Prove | None = None,
        limits: ServerLimits | None = None,
    ) -> None:
        self._fleet, self._ads = fleet, Ads(fleet, prove)
        served = {**self._ads.methods(), **methods}
        self._server = Server(
            listen,
            served | reflection.methods(served),
            clock=fleet.clock,
            tls=tls,
            limits=limits,
            on_look=self._ads.remind,
            on_cut=self._note_cut,
        )

    @property
    def address(self) -> str:
        """Where it listens, with the real port: `127.0.0.1:15010`."""
        return self._server.address

    async def start(self) -> None:
        """Listen. Raises OSError where the address cannot be had."""
        await self._server.start()

    async def drain(self, seconds: float) -> None:
        """Accept nobody new, and end the open streams spread over that time, so that clients do
        not all come back to another server at once."""
        await self._server.drain(seconds)

    async def stop(self) -> None:
        """End what is left."""
        await self._server.stop()

    def _note_cut(self, reason: Cut) -> None:
        self._fleet.metrics.cut[reason].inc()
        if reason is Cut.NOT_READING:
            self._fleet.metrics.write_timeouts.inc()
