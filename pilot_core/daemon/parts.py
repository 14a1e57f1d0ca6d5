"""The parts of a daemon and how they hang together: made from settings, started in order.

registries → hub → fleet → transport, and the admin API beside them.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from pilot_core.admin.server import AdminServer
from pilot_core.admin.view import View
from pilot_core.clock import Clock, SystemClock
from pilot_core.config import address
from pilot_core.config.schema import AdapterSettings, Settings
from pilot_core.daemon import figures
from pilot_core.registry import loader
from pilot_core.registry.hub import Hub, Limits, Registration
from pilot_core.registry.lastgood import LastGood
from pilot_core.telemetry.metrics import CoreMetrics, ReadFigures
from pilot_core.telemetry.problems import Problems
from pilot_xds.fleet import Fleet
from pilot_xds.grpc_transport import GrpcTransport
from pilot_xds.metrics import XdsMetrics
from pilot_xds.services import HealthService, client_status, register_reflection


class Parts:
    """Everything that lives as long as the daemon does."""

    def __init__(self, settings: Settings, state_file: Path | None) -> None:
        self._settings = settings
        self.clock: Clock = SystemClock()
        self.problems = Problems(self.clock)
        self.metrics = CoreMetrics()
        self.hub = self._hub(settings, state_file)
        self.fleet = Fleet(
            clock=self.clock,
            problems=self.problems,
            metrics=XdsMetrics(self.metrics.registry),
            origin_of=self._origin_of,
            trust_domain=settings.mesh.trust_domain,
        )
        self.health = HealthService()
        self.transport = GrpcTransport(
            self.fleet,
            settings.xds.address,
            services=(self.health.register, register_reflection, client_status(self.fleet)),
        )
        self.admin = self._admin(settings)
        self.hub.follow(self.fleet.update)

    def _hub(self, settings: Settings, state_file: Path | None) -> Hub:
        kept = None
        if state_file is not None:
            kept = LastGood(state_file, problems=self.problems, clock=self.clock)
        return Hub(
            clock=self.clock,
            problems=self.problems,
            limits=Limits(
                sync_timeout=settings.startup.sync_timeout,
                quiet=settings.batch.quiet,
                longest=settings.batch.max,
            ),
            metrics=self.metrics.adapters.labelled,
            lastgood=kept,
        )

    def _admin(self, settings: Settings) -> AdminServer:
        read = ReadFigures(lambda: figures.read(self.hub, self.problems))
        self.metrics.registry.register(read)
        return AdminServer(
            View(hub=self.hub, fleet=self.fleet, problems=self.problems, clock=self.clock),
            self.metrics.registry,
            figures=read,
            listen=settings.admin.address,
            token_file=settings.admin.token_file,
        )

    async def listen(self) -> None:
        """Open the ports. Raises OSError, which names the setting."""
        for key, listen in (("xds", self._settings.xds), ("admin", self._settings.admin)):
            _try(f"{key}.address", listen.address)
        try:
            await self.transport.start()
        except OSError as error:
            raise OSError(f"xds.address: {error}") from None
        try:
            await self.admin.start()
        except OSError as error:
            await self.transport.stop()
            raise OSError(f"admin.address: {error}") from None

    def _origin_of(self, hostname: str) -> str:
        claims = self.hub.claims(("service", hostname))
        return claims[0].place if claims else ""


def _try(key: str, listen: str) -> None:
    """Raise OSError where the address cannot be listened on: gRPC would say that it is so, but
    not why."""
    host, port = address.split(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
            # Only listening shows that nobody else does.
            tried.listen(1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        cure = "is another pilot-core running? " if error.errno == errno.EADDRINUSE else ""
        raise OSError(
            f"{key}: cannot listen on {listen}: {reason}; {cure}{key} in the configuration moves it"
        ) from None


def registrations(settings: Settings) -> list[Registration]:
    """The adapters to run, in order of precedence. Raises PluginError. Blocks: it looks for
    plugins on disk."""
    return [_registration(adapter) for adapter in settings.adapters]


def _registration(adapter: AdapterSettings) -> Registration:
    return Registration(
        name=adapter.name,
        kind=adapter.kind,
        adapter_type=loader.load(adapter.kind),
        config=adapter.config,
        required=adapter.required,
        max_drop=adapter.max_drop,
    )
