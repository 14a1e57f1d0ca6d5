"""What the metrics page says of registries, problems and certificates, read when asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from pilot_certs import chain, signers
from pilot_certs.refusal import InvalidRequest, NotReady, Unauthenticated
from pilot_core.daemon.identity import Identity
from pilot_core.model import Severity
from pilot_core.registry.hub import Hub
from pilot_core.registry.state import State
from pilot_core.telemetry import names
from pilot_core.telemetry.metrics import Figures
from pilot_core.telemetry.names import Name
from pilot_core.telemetry.problems import Problems

Labelled: TypeAlias = tuple[tuple[str, ...], float]
_COUNTED = {
    names.CSR_COUNT: "requests",
    names.CSR_ISSUED: "issued",
    names.CSR_UNKNOWN: Unauthenticated.__name__,
    names.CSR_MALFORMED: InvalidRequest.__name__,
    names.CSR_UNSIGNED: NotReady.__name__,
}
_READ = (
    names.ROOT_EXPIRY,
    names.ROOT_EXPIRES_IN,
    names.CHAIN_EXPIRY,
    names.CHAIN_EXPIRES_IN,
    names.CERTS_REFUSED,
    names.CERTS_SIGNERS,
    names.CERTS_SEQUENCE,
    names.CERTS_HELD,
    names.CERTS_LATE,
    names.CERTS_AGENTS,
    names.CERTS_NOT_TOLD,
    names.CERTS_WAITING,
    names.AUDIT_LOST,
)


def read(hub: Hub, problems: Problems, identity: Identity | None = None) -> Figures:
    """Everything at once, on the event loop."""
    states = hub.registries()
    open_now = Counter(problem.severity for problem in problems)
    codes = Counter(problem.code for problem in problems)
    return _certificates(identity) | {
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


def _certificates(identity: Identity | None) -> dict[Name, Sequence[Labelled]]:
    """Without an authority the metrics are declared, and have no values."""
    if identity is None:
        return {name: [] for name in (*_COUNTED, *_READ)}
    authority, issuing = identity.authority, identity.issuing
    by_state = Counter(signer.state for signer in authority.signers)
    without = identity.holders.without_roots(frozenset(authority.roots))
    return {
        **{name: [((), issuing.counts[key])] for name, key in _COUNTED.items()},
        names.CERTS_REFUSED: [((r,), n) for r, n in sorted(issuing.refusals.items())],
        names.CERTS_SIGNERS: [((state,), by_state[state]) for state in signers.State],
        names.CERTS_SEQUENCE: [((), authority.sequence)],
        names.CERTS_HELD: [((), len(identity.ledger))],
        names.CERTS_LATE: [((), len(identity.ledger.late()))],
        names.CERTS_AGENTS: [((), len(identity.holders.following))],
        names.CERTS_NOT_TOLD: [((), len(without))],
        names.CERTS_WAITING: [((), float(bool(identity.rotating.waits_for)))],
        names.AUDIT_LOST: [((), identity.audit.lost)],
        **_ends(identity),
    }


def _ends(identity: Identity) -> dict[Name, Sequence[Labelled]]:
    """When the active signer ends, and when its root does."""
    current = signers.active(identity.authority.signers)
    if current is None:
        return {name: [] for name in _READ[:4]}
    now = identity.authority.clock.now()
    root = chain.load(current.roots[0]).not_valid_after_utc.timestamp()
    return {
        names.ROOT_EXPIRY: [((), root)],
        names.ROOT_EXPIRES_IN: [((), root - now)],
        names.CHAIN_EXPIRY: [((), current.not_after)],
        names.CHAIN_EXPIRES_IN: [((), current.not_after - now)],
    }
