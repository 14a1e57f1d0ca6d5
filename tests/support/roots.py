"""Roots of a platform's own TLS servers, for tests that need no real one."""

from __future__ import annotations

import functools

import authorities
from pilot_core.model import Roots


@functools.cache
def pem() -> str:
    """A certificate authority's certificate."""
    return authorities.pem(authorities.root(authorities.key()))


def roots(name: str = "cf", certificates: str = "") -> Roots:
    return Roots(name=name, certificates=certificates or pem())
