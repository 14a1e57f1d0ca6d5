"""What the merged world shows that people should know: conflicts, lonely endpoints, plain TCP.

Each is raised when it comes up and cleared when it is over, at the cost of what changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pilot_core.model import Conflict, MeshService, Problem, Protocol, Severity, Shard, World
from pilot_core.telemetry.problems import Problems

CONFLICT = "service-conflict"
LONELY = "endpoints-without-service"
AS_TCP = "protocol-as-tcp"


class Notices:
    """Follows every batch of merged hostnames."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._conflicts: dict[str, list[tuple[str, str]]] = {}
        self._lonely: dict[str, tuple[str, str]] = {}
        self._as_tcp: dict[Protocol, set[str]] = {}
        self._protocols: dict[str, frozenset[Protocol]] = {}

    def services(self, changed: Mapping[str, MeshService | None]) -> None:
        """These services have been merged again; None where there is none any more."""
        for hostname, merged in changed.items():
            self._show_conflicts(hostname, merged.conflicts if merged else ())
            self._show_protocols(hostname, merged)

    def endpoints(self, world: World, hostnames: Iterable[str]) -> None:
        """The services or the endpoints of these have changed."""
        for hostname in hostnames:
            shards = world.endpoints.get(hostname)
            first = shards[0] if shards and hostname not in world.services else None
            claimant = (first.registry, first.source) if first else None
            if self._lonely.get(hostname) != claimant:
                self._clear_lonely(hostname)
                if first is not None:
                    self._show_lonely(hostname, first)

    def _show_lonely(self, hostname: str, first: Shard) -> None:
        self._lonely[hostname] = (first.registry, first.source)
        self._raise(
            LONELY,
            (first.registry, first.source),
            hostname,
            f"{hostname} has endpoints, but no registry has a service of that name",
            severity=Severity.INFO,
            place=first.origin.place,
        )

    def _clear_lonely(self, hostname: str) -> None:
        claimant = self._lonely.pop(hostname, None)
        if claimant is not None:
            self._clear(LONELY, claimant, hostname)

    def _show_conflicts(self, hostname: str, conflicts: Iterable[Conflict]) -> None:
        fresh: dict[tuple[str, str], list[Conflict]] = {}
        for conflict in conflicts:
            fresh.setdefault((conflict.registry, conflict.source), []).append(conflict)
        for claimant in self._conflicts.pop(hostname, ()):
            if claimant not in fresh:
                self._clear(CONFLICT, claimant, hostname)
        for claimant, found in fresh.items():
            message = "; ".join(conflict.message for conflict in found)
            self._raise(CONFLICT, claimant, hostname, message, place=found[0].place)
        if fresh:
            self._conflicts[hostname] = list(fresh)

    def _show_protocols(self, hostname: str, merged: MeshService | None) -> None:
        ports = merged.service.ports if merged else ()
        new = frozenset(
            p.protocol for p in ports if p.protocol.is_carried_as_tcp and not p.protocol.is_datagram
        )
        old = self._protocols.pop(hostname, frozenset())
        if new:
            self._protocols[hostname] = new
        for protocol in old - new:
            self._as_tcp[protocol].discard(hostname)
            if not self._as_tcp[protocol]:
                self._clear(AS_TCP, ("", ""), protocol.value)
        for protocol in new - old:
            users = self._as_tcp.setdefault(protocol, set())
            if not users:
                text = f"{protocol.value} (first seen at {hostname}) is carried as plain TCP"
                self._raise(AS_TCP, ("", ""), protocol.value, text, severity=Severity.INFO)
            users.add(hostname)

    def _raise(
        self,
        code: str,
        claimant: tuple[str, str],
        object: str,
        message: str,
        *,
        severity: Severity = Severity.WARNING,
        place: str = "",
    ) -> None:
        registry, source = claimant
        self._problems.raise_(
            Problem(
                code=code,
                severity=severity,
                registry=registry,
                source=source,
                object=object,
                message=message,
                origin=place or (f"{registry}/{source}" if registry else ""),
            )
        )

    def _clear(self, code: str, claimant: tuple[str, str], object: str) -> None:
        registry, source = claimant
        self._problems.clear(code, registry=registry, source=source, object=object)
