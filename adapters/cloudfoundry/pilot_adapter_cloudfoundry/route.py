"""A route: a name that callers use, and one instance behind it, whoever told of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from pilot_core.model import Health


class Uri(msgspec.Struct, frozen=True, gc=False, order=True):
    """`shop.example.com/api`: a hostname, and a path that is empty or begins with a slash."""

    host: str
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Uri:
        """What routers match: lower case, paths too, without a query."""
        host, _, path = text.lower().partition("?")[0].partition("/")
        path = path.strip("/")
        return cls(host, f"/{path}" if path else "")


class Balancing(msgspec.Struct, frozen=True, gc=False):
    """How requests for a route are spread, in the words of the platform; empty for its default."""

    how: str = ""
    hash_header: str = ""
    hash_factor: float = 0.0
    """How much more than its share one instance may get; 0 for no limit."""


class Route(msgspec.Struct, frozen=True):
    """One instance, as it is known under a URI."""

    id: str
    """Who is at the address: the instance's guid; empty where nobody says so."""
    host: str
    port: int
    """0 for internal routes of which no port is told."""
    tls_name: str = ""
    """The name that the TLS server at the port must show; empty: no TLS."""
    is_http2: bool = False
    app: str = ""
    zone: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    is_guarded: bool = False
    """A route service or a policy stands before it, which nobody may go around."""
    health: Health = Health.HEALTHY
    segment: str = ""
    """The isolation segment that it is confined to."""
    balancing: Balancing = Balancing()
    is_of_diego: bool = False
    """Told on behalf of Diego, by what emits its routes."""

    @property
    def address(self) -> tuple[str, int]:
        return (self.host, self.port)


Pools = Mapping[str, tuple[Route, ...]]
"""What is behind a name, by what tells its parts apart: the path of HTTP routes, the port else."""


class Routes(Protocol):
    """Somebody who knows routes of one kind, by name."""

    changed: set[str]
    """Names that look different since somebody has emptied this."""

    @property
    def names(self) -> Iterable[str]:
        """All that there are, with those that are only spoken of wrongly."""

    def pools(self, name: str) -> Pools:
        """The instances behind it, sorted."""

    def reasons(self, name: str) -> tuple[str, ...]:
        """Why some of what is said of it could not be used."""
