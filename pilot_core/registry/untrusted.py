"""Endpoints that no proxy speaks to, because nobody could tell whether they are the right ones.

A platform's own TLS server has a name to present (`tls_name`), and there have to be roots that sign
it. Looked at for what has changed, and again for all of them when roots have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pilot_core.model import Claim, Problem, RecordKey, Roots, Severity, Shard, World
from pilot_core.telemetry.problems import Problems

UNTRUSTED, CONFLICT = "endpoints-without-roots", "roots-conflict"


class Untrusted:
    """Follows every batch of merged hostnames and roots."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._named: set[str] = set()
        """Hostnames with endpoints that have a name to present."""
        self._shown: dict[str, Problem] = {}
        self._overruled: dict[str, list[Claim]] = {}

    def concerned(self, changed: Mapping[RecordKey, tuple[Claim, ...]]) -> set[str]:
        """The hostnames to look at again, now that these have changed."""
        roots = [key for key in changed if key[0] == Roots.kind]
        for key in roots:
            self._show_overruled(key[1], changed[key])
        return set(self._named) if roots else set()

    def _show_overruled(self, name: str, claims: Sequence[Claim]) -> None:
        """Roots of one name are those of one registry: to unite them would be to trust both."""
        for claim in self._overruled.pop(name, ()):
            self._problems.clear(
                CONFLICT, registry=claim.registry, source=claim.source, object=name
            )
        overruled = [claim for claim in claims[1:] if claim.record != claims[0].record]
        for claim in overruled:
            text = f"roots {name} are there already, from {claims[0].place}: these are not used"
            self._problems.raise_(
                Problem(
                    code=CONFLICT,
                    severity=Severity.WARNING,
                    registry=claim.registry,
                    source=claim.source,
                    object=name,
                    message=text,
                    origin=claim.place,
                )
            )
        if overruled:
            self._overruled[name] = overruled

    def endpoints(self, world: World, hostnames: Iterable[str]) -> None:
        """The endpoints of these, or the roots that sign for them, have changed."""
        for hostname in hostnames:
            named = [shard for shard in world.endpoints.get(hostname) or () if _is_named(shard)]
            (self._named.add if named else self._named.discard)(hostname)
            self._show(hostname, _problem(world, hostname, named))

    def _show(self, hostname: str, problem: Problem | None) -> None:
        old = self._shown.pop(hostname, None)
        if old is not None and old != problem:
            self._problems.clear(
                UNTRUSTED, registry=old.registry, source=old.source, object=hostname
            )
        if problem is not None:
            self._shown[hostname] = problem
            if problem != old:
                self._problems.raise_(problem)


def _is_named(shard: Shard) -> bool:
    return any(endpoint.tls_name for endpoint in shard.endpoints)


def _problem(world: World, hostname: str, named: list[Shard]) -> Problem | None:
    """The first thing that is missing."""
    for shard in named:
        for roots in {e.tls_roots: None for e in shard.endpoints if e.tls_name}:
            if (Roots.kind, roots) in world.policies:
                continue
            lack = f"roots {roots} are not there" if roots else "no roots are named"
            return Problem(
                code=UNTRUSTED,
                severity=Severity.WARNING,
                registry=shard.registry,
                source=shard.source,
                object=hostname,
                message=(
                    f"endpoints of {hostname} get no requests: "
                    f"they have a TLS name, and {lack} to check it with"
                ),
                origin=shard.origin.place or f"{shard.registry}/{shard.source}",
            )
    return None
