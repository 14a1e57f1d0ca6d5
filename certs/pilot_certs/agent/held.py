"""What the agent holds: one certificate per workload, and the roots to trust.

Rule 1: a certificate and its key come and go together, and only if they belong together.
Rule 2: what is held stays until something better is there, whatever fails meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine, Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pilot_certs import chain, public_key
from pilot_certs.chain import Untrusted
from pilot_certs.jwt_svids import PublicKey
from pilot_certs.spiffe import SpiffeId


class Svid(msgspec.Struct, frozen=True, kw_only=True):
    """A workload's certificate with its key."""

    name: SpiffeId
    chain: tuple[str, ...]
    """PEM, leaf first, without roots."""
    key: ec.EllipticCurvePrivateKey
    not_before: float
    not_after: float
    signer: str = ""
    """The authority's name for what has signed it, where it has said so."""

    def __repr__(self) -> str:
        return f"Svid({self.name}, until={self.not_after:.0f})"

    @property
    def version(self) -> str:
        return digest(*self.chain)

    def key_bytes(self, encoding: Encoding) -> bytes:
        """PKCS#8."""
        return self.key.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())


def svid(
    name: SpiffeId,
    shown: tuple[str, ...],
    key: ec.EllipticCurvePrivateKey,
    *,
    signer: str = "",
) -> Svid:
    """What an authority has answered, looked at before it is used. Raises Untrusted."""
    if not shown:
        raise Untrusted("an answer without a certificate")
    leaf = chain.load(shown[0])
    if chain.name_of(leaf) != name:
        raise Untrusted(f"a certificate for {chain.name_of(leaf)}, where {name} was asked for")
    return Svid(
        name=name,
        chain=shown,
        key=key,
        not_before=leaf.not_valid_before_utc.timestamp(),
        not_after=leaf.not_valid_after_utc.timestamp(),
        signer=signer,
    )


def digest(*parts: str) -> str:
    """A version: equal content, equal version."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class Held:
    """All of it, and a way to wait for changes."""

    def __init__(self, trust_domain: str) -> None:
        self.trust_domain = trust_domain
        self.roots: tuple[str, ...] = ()
        self.jwt_keys: tuple[PublicKey, ...] = ()
        """What verifies tokens."""
        self._svids: dict[SpiffeId, Svid] = {}
        self._changed = asyncio.Event()

    @property
    def svids(self) -> Mapping[SpiffeId, Svid]:
        return self._svids

    def trust(self, roots: tuple[str, ...]) -> None:
        """These roots from now on. Raises Untrusted for what is no root, and keeps the others."""
        if not roots:
            raise Untrusted("no roots at all")
        for root in roots:
            chain.check_authority((), (root,))
        if roots != self.roots:
            self.roots = roots
            self._tell()

    def verify_with(self, keys: tuple[PublicKey, ...]) -> None:
        """These keys verify tokens from now on."""
        if keys != self.jwt_keys:
            self.jwt_keys = keys
            self._tell()

    def take(self, new: Svid) -> None:
        """This certificate from now on, if it is for its key and the roots vouch for it.

        Raises Untrusted, InvalidRequest. A proxy would refuse a key that does not belong to the
        certificate, and the agent would believe that it had renewed it.
        """
        shown = public_key.allowed(chain.load(new.chain[0]).public_key())
        if public_key.spki(shown) != public_key.spki(new.key.public_key()):
            raise Untrusted("a certificate for another key")
        chain.check(new.chain, self.roots, (new.not_before + new.not_after) / 2)
        self._svids[new.name] = new
        self._tell()

    def forget(self, name: SpiffeId) -> None:
        """Its workload does not run here any more."""
        if self._svids.pop(name, None):
            self._tell()

    def change(self) -> Coroutine[Any, Any, Any]:
        """To be awaited until something changes after this call, awaited already or not."""
        return self._changed.wait()

    def _tell(self) -> None:
        # Who waits now is woken; who comes later waits for the next change.
        self._changed.set()
        self._changed = asyncio.Event()
