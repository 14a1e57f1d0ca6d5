"""The parts of a daemon and how they hang together: made from settings, started in order.

registries → hub → fleet → transport, and the admin API beside them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from pilot_core.admin.server import AdminServer
from pilot_core.admin.view import View
from pilot_core.clock import Clock, SystemClock
from pilot_core.config.schema import Settings
from pilot_core.model import Delta, Problem, Severity, World
from pilot_core.registry import loader
from pilot_core.registry.hub import Hub, Limits, Registration
from pilot_core.registry.lastgood import LastGood
from pilot_core.telemetry.metrics import CoreMetrics, RegistryFigures
from pilot_core.telemetry.problems import Problems
from pilot_xds.fleet import Fleet
from pilot_xds.grpc_transport import GrpcTransport
from pilot_xds.metrics import XdsMetrics
from pilot_xds.services import HealthService, client_status, register_reflection

log = logging.getLogger(__name__)

_CARRIED_AS_TCP = "protocol-as-tcp"


class Parts:
    """Everything that lives as long as the daemon does."""

    def __init__(self, settings: Settings, state_file: Path | None) -> None:
        self.clock: Clock = SystemClock()
        self.problems = Problems(self.clock)
        self.metrics = CoreMetrics()
        kept = (
            LastGood(state_file, problems=self.problems, clock=self.clock) if state_file else None
        )
        self.hub = Hub(
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
        self.fleet = Fleet(
            clock=self.clock,
            problems=self.problems,
            metrics=XdsMetrics(self.metrics.registry),
            origin_of=self._origin_of,
        )
        self.health = HealthService()
        self.transport = GrpcTransport(
            self.fleet,
            settings.xds.address,
            services=(self.health.register, register_reflection, client_status(self.fleet)),
        )
        view = View(hub=self.hub, fleet=self.fleet, problems=self.problems, clock=self.clock)
        self.admin = AdminServer(
            view,
            self.metrics.registry,
            listen=settings.admin.address,
            token_file=settings.admin.token_file,
        )
        self.hub.follow(self.fleet.update)
        self.hub.follow(self._note)
        self.metrics.registry.register(RegistryFigures(self._figures))

    async def listen(self) -> None:
        """Open the ports. Raises OSError."""
        await self.transport.start()
        await self.admin.start()

    def _origin_of(self, hostname: str) -> str:
        claims = self.hub.claims(("service", hostname))
        return claims[0].place if claims else ""

    def _note(self, old: World, new: World, delta: Delta) -> None:
        """What a change means for metrics, and for protocols that nobody can route."""
        self.metrics.services.set(len(new.services))
        self.metrics.endpoints.set(len(new.endpoints))
        for hostname in delta.services:
            service = new.service(hostname)
            for port in service.ports if service else ():
                if port.protocol.is_carried_as_tcp:
                    self._carried_as_tcp(port.protocol, hostname)

    def _carried_as_tcp(self, protocol: str, hostname: str) -> None:
        if any(p.code == _CARRIED_AS_TCP and p.object == protocol for p in self.problems):
            return
        self.problems.raise_(
            Problem(
                code=_CARRIED_AS_TCP,
                severity=Severity.INFO,
                object=protocol,
                message=f"{protocol} is carried as tcp: proxies do not look into it",
                origin=self._origin_of(hostname),
            )
        )

    def _figures(self) -> Iterator[tuple[str, str, dict[str, float]]]:
        for registry in self.hub.registries():
            figures: dict[str, float] = {
                "services": registry.services,
                "endpoints": registry.endpoints,
                "sources": registry.sources,
                "sessions": registry.sessions,
            }
            yield registry.name, registry.state, figures


def registrations(settings: Settings) -> list[Registration]:
    """The adapters to run, in order of precedence. Raises PluginError."""
    return [
        Registration(
            name=adapter.name,
            kind=adapter.kind,
            adapter_type=loader.load(adapter.kind),
            config=adapter.config,
            required=adapter.required,
            max_drop=adapter.max_drop,
        )
        for adapter in settings.adapters
    ]
