"""How long a certificate holds: from what was asked for, what is allowed, and what is left."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pilot_certs.refusal import InvalidRequest, NotReady

_DAY = 86400.0


class Window(NamedTuple):
    """From when to when, in whole seconds since the epoch."""

    not_before: float
    not_after: float


class Lifetimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long things live, in seconds."""

    leaf: float = _DAY
    """What a workload gets that does not say."""
    longest_leaf: float = 90 * _DAY
    shortest_leaf: float = 600.0
    """What is left of the authority must be worth a certificate, or it signs nothing."""
    authority: float = 365 * _DAY
    backdate: float = 120.0
    """Clocks differ: a certificate that begins in a peer's future fails every request there."""


def window(now: float, asked: int, lifetimes: Lifetimes, authority_ends: float) -> Window:
    """When a leaf begins and ends; `asked` is in seconds, and 0 or less asks for the default.

    Raises InvalidRequest where more is asked for than anybody gets, NotReady where the authority
    itself is about to end.
    """
    seconds = lifetimes.leaf if asked <= 0 else asked
    if seconds > lifetimes.longest_leaf:
        longest = int(lifetimes.longest_leaf)
        raise InvalidRequest("ttl", f"{asked} s asked for, {longest} s are the most there is")
    if authority_ends - now < min(lifetimes.shortest_leaf, seconds):
        raise NotReady("authority-ends", "the authority itself is about to end: rotate it")
    return Window(
        float(int(now - lifetimes.backdate)), min(float(int(now + seconds)), authority_ends)
    )
