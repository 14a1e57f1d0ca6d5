"""Workloads, and the evidence by which a platform vouches for them."""

from __future__ import annotations

import msgspec


class Evidence(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What somebody presents to prove which workload it is: the kind of proof, and the proof."""

    kind: str
    payload: bytes
    peer: str = ""


class Workload(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A running program that a platform vouches for.

    `path` is the part of its SPIFFE id behind the trust domain, confined to the platform's own
    prefix; `selectors` are what else the platform knows of it.
    """

    path: str
    namespace: str = "default"
    service_account: str = ""
    addresses: tuple[str, ...] = ()
    selectors: tuple[tuple[str, str], ...] = ()
