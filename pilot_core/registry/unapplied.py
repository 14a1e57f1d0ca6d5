"""Policies that are known, and do nothing yet: each is shown, so that nobody relies on one.

Shown at the cost of what changed; beyond a limit, one problem counts the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

from pilot_core.model import Claim, Problem, Record, RecordKey, Severity, Traffic
from pilot_core.telemetry.problems import Problems

UNAPPLIED = "policy-not-applied"
LIMIT = 500
"""Policies that are shown one by one."""

_EFFECT = {
    "traffic": "requests go as if it were not there",
    "authorization": "nobody is refused by it",
}


class Unapplied:
    """Follows every batch of merged policies."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._shown: dict[RecordKey, list[Claim]] = {}
        self._hidden: set[RecordKey] = set()

    def policies(self, changed: Mapping[RecordKey, tuple[Claim, ...]]) -> None:
        """These have been merged again; no claims where there is none any more. Kinds that are
        applied are none of its business."""
        changed = {key: claims for key, claims in changed.items() if key[0] in _EFFECT}
        if not changed:
            return
        for key, claims in changed.items():
            for claim in self._shown.pop(key, ()):
                self._problems.clear(
                    UNAPPLIED, registry=claim.registry, source=claim.source, object=_object(key)
                )
            self._hidden.discard(key)
            claims = tuple(claim for claim in claims if _asks_for_something(claim.record))
            if claims and len(self._shown) < LIMIT:
                self._shown[key] = list(claims)
                for claim in claims:
                    self._show(key, claim)
            elif claims:
                self._hidden.add(key)
        self._count()

    def _show(self, key: RecordKey, claim: Claim) -> None:
        unread = getattr(claim.record, "unread", ())
        more = f"; of it, {', '.join(unread)} cannot be read at all" if unread else ""
        self._problems.raise_(
            Problem(
                code=UNAPPLIED,
                severity=Severity.INFO,
                registry=claim.registry,
                source=claim.source,
                object=_object(key),
                message=f"{_object(key)} is known and not yet applied: {_EFFECT[key[0]]}{more}",
                origin=claim.place,
            )
        )

    def _count(self) -> None:
        if not self._hidden:
            self._problems.clear(UNAPPLIED, source="", object="")
            return
        text = f"{len(self._hidden)} more policies are known and not yet applied"
        self._problems.raise_(Problem(code=UNAPPLIED, severity=Severity.INFO, message=text))


def _asks_for_something(record: Record) -> bool:
    return not (isinstance(record, Traffic) and record.is_protocol_alone)


def _object(key: RecordKey) -> str:
    kind, name = key
    return f"{kind} {name}"
