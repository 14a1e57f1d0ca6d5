"""The parts of a daemon and how they hang together: made from settings, started in order.

registries → hub → fleet → xDS server, and the admin API beside them.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from pilot_core.admin.identity import Office
from pilot_core.admin.server import AdminServer
from pilot_core.admin.view import View
from pilot_core.clock import Clock, SystemClock
from pilot_core.config import address
from pilot_core.config.schema import AdapterSettings, Settings
from pilot_core.daemon import figures
from pilot_core.daemon.identity import Identity
from pilot_core.daemon.secure import SecureListener
from pilot_core.registry import loader
from pilot_core.registry.hub import Hub, Limits, Registration
from pilot_core.registry.lastgood import LastGood
from pilot_core.telemetry.metrics import CoreMetrics, ReadFigures
from pilot_core.telemetry.problems import Problems
from pilot_xds.fleet import Fleet
from pilot_xds.metrics import XdsMetrics
from pilot_xds.server import XdsServer
from pilot_xds.services import csds
from pilot_xds.services.health import HealthService


class _Part(Protocol):
    """What listens."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Parts:
    """Everything that lives as long as the daemon does."""

    def __init__(self, settings: Settings, state_file: Path | None) -> None:
        """Raises StateError where the authority is damaged."""
        self._settings = settings
        self.clock: Clock = SystemClock()
        self.problems = Problems(self.clock)
        self.metrics = CoreMetrics()
        self.identity = self._identity(settings, state_file)
        self.hub = self._hub(settings, state_file)
        self.fleet = Fleet(
            clock=self.clock,
            problems=self.problems,
            metrics=XdsMetrics(self.metrics.registry),
            origin_of=self._origin_of,
            trust_domain=settings.mesh.trust_domain,
            expects_agents=settings.xds.secure_address is not None,
        )
        self.health = HealthService()
        self.transport = XdsServer(
            self.fleet,
            settings.xds.address,
            methods={**csds.methods(self.fleet), **self.health.methods()},
        )
        self.secure = self._secure(settings)
        self.admin = self._admin(settings)
        self.hub.follow(self.fleet.update)

    def _identity(self, settings: Settings, state_file: Path | None) -> Identity | None:
        if settings.xds.secure_address is None or state_file is None:
            return None
        return Identity(
            settings,
            state_file.parent,
            self.clock,
            self.problems,
            attestor=lambda name: self.hub.attestor(name),
        )

    def _secure(self, settings: Settings) -> SecureListener | None:
        if self.identity is None or settings.xds.secure_address is None:
            return None
        return SecureListener(
            self.fleet,
            settings.xds.secure_address,
            methods=self.identity.methods,
            health=self.health,
            proofs=self.identity.proofs,
            certificate=self.identity.certificate,
        )

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
        read = ReadFigures(lambda: figures.read(self.hub, self.problems, self.identity))
        self.metrics.registry.register(read)
        return AdminServer(
            View(hub=self.hub, fleet=self.fleet, problems=self.problems, clock=self.clock),
            self.metrics.registry,
            figures=read,
            listen=settings.admin.address,
            token_file=settings.admin.token_file,
            office=_office(self.identity),
        )

    async def listen(self) -> None:
        """Open the ports. Raises OSError, which names the setting."""
        said = self._settings
        _try("xds.address", said.xds.address)
        _try("admin.address", said.admin.address)
        if self.secure is not None and said.xds.secure_address is not None:
            _try("xds.secure_address", said.xds.secure_address)
        opened: list[Callable[[], Awaitable[None]]] = []
        parts: list[tuple[str, _Part]] = [
            ("xds.address", self.transport),
            ("admin.address", self.admin),
        ]
        if self.secure is not None:
            parts.append(("xds.secure_address", self.secure))
        for key, part in parts:
            try:
                await part.start()
            except OSError as error:
                for stop in opened:
                    await stop()
                raise OSError(f"{key}: {error}") from None
            opened.append(part.stop)

    async def drain(self, seconds: float) -> None:
        """End the streams of proxies, spread over that time."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.transport.drain(seconds))
            if self.secure is not None:
                group.create_task(self.secure.drain(seconds))

    def _origin_of(self, hostname: str) -> str:
        claims = self.hub.claims(("service", hostname))
        return claims[0].place if claims else ""


def _office(identity: Identity | None) -> Office | None:
    if identity is None:
        return None
    return Office(
        authority=identity.authority,
        ledger=identity.ledger,
        holders=identity.holders,
        tokens=identity.tokens,
        rotating=identity.rotating,
        token_file=identity.token_file,
    )


def _try(key: str, listen: str) -> None:
    """Raise OSError where the address cannot be listened on, with the setting and a cure; before
    anything has been started."""
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
