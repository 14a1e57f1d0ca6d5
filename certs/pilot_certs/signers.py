"""The authority's signing certificates as values, and the steps that a rotation is made of.

    prepared ──activate──▶ active ──(the next one is activated)──▶ old ──drop──▶ gone

Rule 1: exactly one is active, and at most one is prepared.
Rule 2: the roots of all of them are trusted: a root is known everywhere before anything it has
signed appears, and stays until nothing it has signed is left.
Rule 3: a step is a function from signers to signers. It is repeated at will after a crash.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec

from pilot_core.errors import PilotError


class State(enum.StrEnum):
    PREPARED = "prepared"
    """Its root is handed out; it signs nothing yet."""
    ACTIVE = "active"
    """It signs."""
    OLD = "old"
    """It signs nothing any more; what it has signed is still trusted."""


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """One signing certificate. Times are seconds since the epoch, 0 where it has not come yet."""

    id: str
    """SHA-256 of its public key, by which its private key is found."""
    state: State
    chain: tuple[str, ...]
    """PEM, the signing certificate first, up to but without its root; empty for a root itself."""
    roots: tuple[str, ...]
    """PEM: what peers must trust; its own root first."""
    not_before: float
    not_after: float
    prepared_at: float = 0.0
    activated_at: float = 0.0
    retired_at: float = 0.0
    leaves_until: float = 0.0
    """No certificate that it has signed is valid after this."""
    jwt_key: str = ""
    """The id of the key that signs its tokens; empty for one of before there were any."""
    jwt_public: str = ""
    """Its public half: SubjectPublicKeyInfo in base64."""
    is_tainted: bool = False
    """What it has signed is to be replaced at once."""

    @property
    def certificate(self) -> str:
        return self.chain[0] if self.chain else self.roots[0]

    def replace(self, **fields: object) -> Signer:
        return msgspec.structs.replace(self, **fields)


Signers: TypeAlias = tuple[Signer, ...]


class WrongStep(PilotError):
    """The step does not follow from where the rotation stands; the message says what does."""


def active(signers: Signers) -> Signer | None:
    return next((s for s in signers if s.state is State.ACTIVE), None)


def in_state(signers: Signers, state: State) -> Signers:
    return tuple(s for s in signers if s.state is state)


def find(signers: Signers, prefix: str) -> Signer:
    """The one whose id starts like that. Raises WrongStep."""
    found = [s for s in signers if prefix and s.id.startswith(prefix)]
    if len(found) != 1:
        known = ", ".join(f"{s.id[:12]} ({s.state})" for s in signers)
        raise WrongStep(f"{len(found)} signers are called {prefix!r}: there are {known or 'none'}")
    return found[0]


def prepare(signers: Signers, new: Signer, now: float) -> Signers:
    """Add one whose root is to be handed out."""
    if waiting := in_state(signers, State.PREPARED):
        raise WrongStep(f"{waiting[0].id[:12]} is prepared already: activate it, or drop it")
    if any(s.id == new.id for s in signers):
        raise WrongStep(f"{new.id[:12]} is known already")
    return (*signers, new.replace(state=State.PREPARED, prepared_at=now))


def activate(signers: Signers, now: float) -> Signers:
    """Let the prepared one sign, and the active one no more."""
    if not in_state(signers, State.PREPARED):
        raise WrongStep("no signer is prepared: prepare one first")
    return tuple(_activated(s, now) for s in signers)


def _activated(signer: Signer, now: float) -> Signer:
    if signer.state is State.PREPARED:
        return signer.replace(state=State.ACTIVE, activated_at=now)
    if signer.state is State.ACTIVE:
        return signer.replace(state=State.OLD, retired_at=now)
    return signer


def taint(signers: Signers, signer: Signer) -> Signers:
    """Have everything that an old one has signed replaced now."""
    if signer.state is not State.OLD:
        raise WrongStep(f"{signer.id[:12]} is {signer.state}: activate another one first")
    return tuple(s.replace(is_tainted=True) if s.id == signer.id else s for s in signers)


def renew(signers: Signers, new: Signer) -> Signers:
    """Let the certificate of one be followed by another one for the same key, below the same
    root: nobody has to be told of anything."""
    known = next(s for s in signers if s.id == new.id)
    if known.roots[0] not in new.roots:
        raise WrongStep(
            f"{new.id[:12]} has a new root, and the key that it had: make a new key with it"
        )
    fields = {"chain": new.chain, "not_before": new.not_before, "not_after": new.not_after}
    roots = (known.roots[0], *(root for root in new.roots if root != known.roots[0]))
    renewed = known.replace(roots=roots, **fields)
    return tuple(renewed if s.id == new.id else s for s in signers)


def drop(signers: Signers, signer: Signer) -> Signers:
    """Trust one no more."""
    if signer.state is State.ACTIVE:
        raise WrongStep(f"{signer.id[:12]} is active: activate another one first")
    return tuple(s for s in signers if s.id != signer.id)


def bundle(signers: Iterable[Signer]) -> tuple[str, ...]:
    """Every root that is trusted, each once, in an order that does not depend on the steps."""
    return tuple(sorted({root for signer in signers for root in signer.roots}))


Step: TypeAlias = Callable[[Signers], Signers]
