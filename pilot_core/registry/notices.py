"""What the merged world shows that people should know: conflicts, lonely endpoints, protocols that
proxies do not read.

Each is raised when it comes up and cleared when it is over, at the cost of what changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from pilot_core.model import Conflict, MeshService, Problem, Severity, Shard, World
from pilot_core.plan import carried
from pilot_core.telemetry.problems import Problems

CONFLICT = "service-conflict"
LONELY = "endpoints-without-service"


class Notices:
    """Follows every batch of merged hostnames."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._conflicts: dict[str, list[tuple[str, str]]] = {}
        self._lonely: dict[str, tuple[str, str]] = {}
        self._notes: dict[str, tuple[Problem, ...]] = {}
        self._noted: dict[Problem, set[str]] = {}
        """By note, the services that it is about."""

    def services(self, changed: Mapping[str, MeshService | None]) -> None:
        """These services have been merged again; None where there is none any more."""
        for hostname, merged in changed.items():
            self._show_conflicts(hostname, merged.conflicts if merged else ())
            self._show_notes(hostname, merged)

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

    def _show_notes(self, hostname: str, merged: MeshService | None) -> None:
        """Each note once, however many services it is about."""
        new = carried.notes(merged.service) if merged else ()
        old = self._notes.pop(hostname, ())
        if new:
            self._notes[hostname] = new
        for note in (note for note in old if note not in new):
            self._noted[note].discard(hostname)
            if not self._noted[note]:
                del self._noted[note]
                self._clear(note.code, ("", ""), note.object)
        for note in (note for note in new if note not in old):
            if note not in self._noted:
                text = f"{note.message} (first seen at {hostname})"
                self._problems.raise_(msgspec.structs.replace(note, message=text))
            self._noted.setdefault(note, set()).add(hostname)

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
