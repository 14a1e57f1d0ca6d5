"""Sessions over a mirror, without an adapter."""

from __future__ import annotations

from pilot_core.registry.guard import Guard
from pilot_core.registry.mirror import Mirror
from pilot_core.registry.remarks import Remarks
from pilot_core.registry.session import Session
from pilot_core.telemetry.problems import Problems
from pilot_core.testing import FakeClock
from registries import service


class Registry:
    """One registry's sessions over a mirror, without an adapter."""

    def __init__(self, max_drop: float = 1.0) -> None:
        clock = FakeClock()
        self.problems = Problems(clock)
        self.mirror = Mirror(lambda registry: None)
        self.remarks = Remarks("dc1", self.problems)
        self.synced = 0
        self.guard = Guard(
            "dc1",
            max_drop=max_drop,
            problems=self.problems,
            clock=clock,
            size=lambda: self.mirror.count("dc1"),
        )

    def session(self) -> Session:
        return Session(
            "dc1",
            self.mirror,
            guard=self.guard,
            remarks=self.remarks,
            on_synced=self._synced,
        )

    def _synced(self) -> None:
        self.synced += 1

    @property
    def sources(self) -> dict[str, list[str]]:
        found = self.mirror.sources("dc1")
        return {s: [r.hostname for r in self.mirror.records("dc1", s)] for s in found}

    @property
    def refused(self) -> list[tuple[str, str]]:
        return [(p.source, p.object) for p in self.problems]


def put(session: Session, *sources: str) -> None:
    for source in sources:
        session.put(source, [service(f"{source.replace('/', '.')}.mesh")])
