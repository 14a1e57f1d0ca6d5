"""What those who hold certificates are known to trust: `rotation.Fleet`.

Agents follow the bundle and say what they and their proxies have acknowledged. Of everybody else it
is known what he was told with his last certificate, and that he renews it in time if he is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from pilot_certs.ledger import Held, Holder, Ledger
from pilot_core.clock import Clock


class Following(msgspec.Struct, frozen=True, kw_only=True):
    """What a connected agent has said last."""

    agent: str
    """By whom it is known: an identity, and where it is."""
    holders: frozenset[Holder] = frozenset()
    roots: frozenset[str] = frozenset()
    """PEM: what it trusts, and each of its proxies has acknowledged."""
    signers: frozenset[str] = frozenset()
    """Ids of those that have signed what it or its proxies show."""


class Holders:
    """Everybody who holds a certificate of ours."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock
        self._following: dict[object, Following] = {}

    def heard(self, session: object, said: Following) -> None:
        """A connected agent has said this; it replaces what it said before."""
        self._following[session] = said

    def gone(self, session: object) -> None:
        """The agent is connected no more: what was handed out to it counts now."""
        self._following.pop(session, None)

    @property
    def following(self) -> tuple[Following, ...]:
        return tuple(self._following.values())

    def without_roots(self, roots: frozenset[str]) -> Sequence[str]:
        """Who does not trust all these yet."""
        agents = (f.agent for f in self._following.values() if not roots <= f.roots)
        return _sorted((*agents, *_names(h for h in self._others() if not roots <= h.roots)))

    def with_leaf_of(self, signer_id: str) -> Sequence[str]:
        """Who shows a certificate of that signer."""
        agents = (f.agent for f in self._following.values() if signer_id in f.signers)
        return _sorted((*agents, *_names(h for h in self._others() if h.signer == signer_id)))

    def _others(self) -> Iterator[Held]:
        """Those who follow nothing. Who is late with his renewal is not there any more, and learns
        of everything when he comes back."""
        followed = frozenset[Holder]().union(*(f.holders for f in self._following.values()))
        now = self._clock.now()
        return (
            held for held in self._ledger if held.holder not in followed and not held.is_late(now)
        )


def _names(held: Iterable[Held]) -> Iterator[str]:
    return (f"{h.holder.name} at {h.holder.peer or '?'}" for h in held)


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))
