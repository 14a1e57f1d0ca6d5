"""Who holds which certificate now: for each holder the newest one, as long as it is valid.

Nothing of this is needed to sign: it is for people, for warnings in time, and for rotations, which
wait for those who have not been told of a new root. After a restart it is read from the audit log.

Rule 1: a holder is an identity at an address. Instances of a workload on different machines are
different holders; a process that starts again is the same one.
Rule 2: it never holds more than fits: who has been there longest without renewal goes first.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from pilot_certs import spiffe
from pilot_certs.audit import Decision
from pilot_certs.refusal import InvalidRequest
from pilot_certs.signers import Signer
from pilot_certs.spiffe import SpiffeId
from pilot_certs.validity import Window
from pilot_core.clock import Clock

_MOST = 100_000
_LATE = 1 / 4
"""The share of its life that a certificate has left when somebody should ask why: agents renew at
half."""


class Holder(NamedTuple):
    """Who has a certificate."""

    name: SpiffeId
    peer: str


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate in somebody's hands."""

    holder: Holder
    attestor: str
    serial: str
    signer: str
    window: Window
    roots: frozenset[str]
    """What its holder was told to trust with it."""

    def is_late(self, now: float) -> bool:
        """Should it have been renewed?"""
        begins, ends = self.window
        return ends - now < (ends - begins) * _LATE


class Ledger:
    """The newest certificate of every holder."""

    def __init__(self, clock: Clock, *, most: int = _MOST) -> None:
        self._clock, self._most = clock, most
        self._held: OrderedDict[Holder, Held] = OrderedDict()

    def note(self, held: Held) -> None:
        """It was just handed out."""
        self._held[held.holder] = held
        self._held.move_to_end(held.holder)
        if len(self._held) > self._most:
            self._held.popitem(last=False)

    def restore(
        self, decisions: Iterable[tuple[float, Decision]], all_signers: Sequence[Signer]
    ) -> None:
        """What was handed out by earlier runs, oldest first. With it went the roots of all who were
        signers then, as far as they still are."""
        now = self._clock.now()
        for at, decision in decisions:
            if decision.event != "issued" or decision.not_after <= now:
                continue
            with contextlib.suppress(InvalidRequest):
                name = spiffe.parse(decision.granted)
                known = [s for s in all_signers if s.prepared_at <= at]
                self.note(
                    Held(
                        holder=Holder(name, decision.peer),
                        attestor=decision.attestor,
                        serial=decision.serial,
                        signer=decision.signer,
                        window=Window(decision.not_before, decision.not_after),
                        roots=frozenset(root for s in known for root in s.roots),
                    )
                )

    def forget(self, holders: Iterable[Holder]) -> None:
        """They are known to be gone, or somebody else knows more of them."""
        for holder in holders:
            self._held.pop(holder, None)

    def __iter__(self) -> Iterator[Held]:
        """What is valid, the longest held first. What is not is forgotten."""
        now = self._clock.now()
        over = [holder for holder, held in self._held.items() if held.window.not_after <= now]
        self.forget(over)
        return iter(tuple(self._held.values()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def late(self) -> tuple[Held, ...]:
        """What should have been renewed and was not."""
        now = self._clock.now()
        return tuple(held for held in self if held.is_late(now))
