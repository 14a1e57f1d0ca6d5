"""What the metrics page says of registries and problems, read when it is asked for."""

from __future__ import annotations

from collections import Counter

from pilot_core.model import Severity
from pilot_core.registry.hub import Hub
from pilot_core.registry.state import State
from pilot_core.telemetry import names
from pilot_core.telemetry.metrics import Figures
from pilot_core.telemetry.problems import Problems


def read(hub: Hub, problems: Problems) -> Figures:
    """Everything at once, on the event loop."""
    states = hub.registries()
    open_now = Counter(problem.severity for problem in problems)
    codes = Counter(problem.code for problem in problems)
    return {
        names.SERVICES: [((), len(hub.world.services))],
        names.PROBLEMS: [((severity,), open_now[severity]) for severity in Severity],
        names.PROBLEMS_BY_CODE: [((code,), count) for code, count in sorted(codes.items())],
        names.REGISTRY_STATE: [
            ((s.name, state), float(s.state is state)) for s in states for state in State
        ],
        names.REGISTRY_SERVICES: [((s.name,), s.services) for s in states],
        names.REGISTRY_ENDPOINTS: [((s.name,), s.endpoints) for s in states],
        names.REGISTRY_SOURCES: [((s.name,), s.sources) for s in states],
        names.REGISTRY_SESSIONS: [((s.name,), s.sessions) for s in states],
        names.REGISTRY_WARNINGS: [((s.name,), s.warnings) for s in states],
        names.REGISTRY_HELD: [((s.name,), len(s.held.sources) if s.held else 0) for s in states],
    }
