"""When a rotation goes on by itself, and what has to be true before it may.

Measured with two real Envoys: adding the root everywhere, then changing the signer, then dropping
the old root costs no request; every short cut costs hundreds. So each step waits for the fleet.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

import msgspec

from pilot_certs import signers
from pilot_certs.signers import Signer, Signers, State, WrongStep

_DAY = 86400.0
_NAMED = 3


class Fleet(Protocol):
    """What those who hold certificates have said of themselves."""

    def without_roots(self, roots: frozenset[str]) -> Sequence[str]:
        """Who is connected and has not yet acknowledged all these roots (PEM)."""

    def with_leaf_of(self, signer_id: str) -> Sequence[str]:
        """Who is connected and still shows a certificate of that signer."""


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """When a rotation begins, as shares of the signer's life with an upper bound in seconds."""

    prepare_share: float = 1 / 2
    prepare_at_most: float = 30 * _DAY
    activate_share: float = 1 / 6
    activate_at_most: float = 7 * _DAY
    settle: float = 3600.0
    """How long a prepared root waits at least: who is away now fetches it meanwhile. Lower it in
    a mesh whose agents are never away for long."""


class NotYet(WrongStep):
    """The fleet is not ready for the step."""


class Due(enum.StrEnum):
    """The next step of a rotation."""

    PREPARE = "prepare"
    ACTIVATE = "activate"
    DROP = "drop"


def due(
    all_signers: Signers, now: float, thresholds: Thresholds, *, is_plugged: bool = False
) -> tuple[Due, Signer] | None:
    """The step whose time has come, and the signer it is about; gates are not looked at.

    Whoever plugs in authorities of his own decides when: what he has prepared becomes active as
    soon as it may, and nothing is prepared for him.
    """
    for signer in signers.in_state(all_signers, State.OLD):
        if now > signer.leaves_until:
            return Due.DROP, signer
    current = signers.active(all_signers)
    waiting = signers.in_state(all_signers, State.PREPARED)
    if current is None:
        return (Due.ACTIVATE, waiting[0]) if waiting else None
    if is_plugged:
        return (Due.ACTIVATE, waiting[0]) if waiting else None
    left, life = current.not_after - now, current.not_after - current.not_before
    if not waiting:
        is_time = left <= min(life * thresholds.prepare_share, thresholds.prepare_at_most)
        return (Due.PREPARE, current) if is_time else None
    is_time = left <= min(life * thresholds.activate_share, thresholds.activate_at_most)
    return (Due.ACTIVATE, waiting[0]) if is_time else None


def ending(all_signers: Signers, now: float, thresholds: Thresholds) -> Signer | None:
    """The active signer, if it should have been replaced for long: half of the time in which that
    is done at the latest is over."""
    current = signers.active(all_signers)
    if current is None:
        return None
    life = current.not_after - current.not_before
    latest = min(life * thresholds.activate_share, thresholds.activate_at_most) / 2
    return current if current.not_after - now <= latest else None


def check_activation(
    all_signers: Signers, fleet: Fleet, now: float, thresholds: Thresholds
) -> None:
    """Raises NotYet while somebody might not trust what the prepared signer signs."""
    for signer in signers.in_state(all_signers, State.PREPARED):
        left = signer.prepared_at + thresholds.settle - now
        if left > 0 and signers.active(all_signers) is not None:
            raise NotYet(f"{signer.id[:12]} was prepared too short ago: {left:.0f} s to wait")
        missing = fleet.without_roots(frozenset(signer.roots))
        if missing:
            raise NotYet(f"{_named(missing)} without the new root")


def check_drop(signer: Signer, fleet: Fleet, now: float) -> None:
    """Raises NotYet while somebody needs what this signer has signed."""
    if signer.state is State.PREPARED:
        return
    left = signer.leaves_until - now
    if left > 0:
        raise NotYet(f"certificates of {signer.id[:12]} are valid for another {left:.0f} s")
    users = fleet.with_leaf_of(signer.id)
    if users:
        raise NotYet(f"{_named(users)} with a certificate of {signer.id[:12]}")


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
