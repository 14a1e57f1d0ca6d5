"""Policies: what people want done with the requests to a service, and who may send any.

Rule 1: a policy says what was asked for, in the terms of no platform: hostnames, requests, shares.
Rule 2: what its platform says beyond that is named in `unread`, so that nobody takes it for done.
Rule 3: nothing is inherited and nothing refers elsewhere: whoever reads a policy needs no other.
"""

from __future__ import annotations

import enum
from typing import ClassVar, TypeAlias

import msgspec

from pilot_core.model.origin import NOWHERE, Origin
from pilot_core.model.protocol import Protocol

ANYBODY = "*"
"""In place of a hostname: every service."""


class How(enum.StrEnum):
    """How a text of a request is compared."""

    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    CONTAINS = "contains"
    REGEX = "regex"
    PRESENT = "present"


class Where(enum.StrEnum):
    """Which text of a request is compared."""

    PATH = "path"
    METHOD = "method"
    HEADER = "header"
    QUERY = "query"


class Match(msgspec.Struct, frozen=True, gc=False):
    """One condition on a request. `name` is that of a header or a query parameter."""

    where: Where
    how: How
    value: str = ""
    name: str = ""
    is_negated: bool = False


class Target(msgspec.Struct, frozen=True, gc=False):
    """Where requests go: a share of `weight` among the weights beside it."""

    hostname: str
    subset: str = ""
    weight: int = 1


class Route(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Requests that meet any of `matches` (each a tuple of conditions that all have to hold; none:
    every request), and what becomes of them. Times are in seconds; None: nothing is said."""

    matches: tuple[tuple[Match, ...], ...] = ()
    targets: tuple[Target, ...] = ()
    prefix_rewrite: str = ""
    timeout: float | None = None
    idle_timeout: float | None = None
    retries: int | None = None
    retry_on: tuple[str, ...] = ()
    """As Envoy's `x-envoy-retry-on` names the reasons; numbers are statuses."""


class Subset(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Some of a service's endpoints: those with these labels. A selection that labels cannot
    express is kept as its platform writes it, in `expression`."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()
    expression: str = ""
    only_healthy: bool = False


class Failover(msgspec.Struct, frozen=True, gc=False):
    """Where requests for a subset go, in this order, while none of its endpoints is healthy; the
    subset `*` stands for all that have none of their own."""

    subset: str
    targets: tuple[Target, ...]


class Traffic(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="traffic", tag_field="kind"):
    """What becomes of the requests to a hostname. `name` is unique in its registry."""

    kind: ClassVar[str] = "traffic"
    name: str
    hostname: str
    namespace: str = "default"
    protocol: Protocol | None = None
    routes: tuple[Route, ...] = ()
    """The first one that fits is taken."""
    subsets: tuple[Subset, ...] = ()
    default_subset: str = ""
    failover: tuple[Failover, ...] = ()
    balancing: str = ""
    """As Envoy names it in lower case, such as `least_request`."""
    connect_timeout: float | None = None
    unread: tuple[str, ...] = ()
    origin: Origin = NOWHERE

    @property
    def key(self) -> tuple[str, str]:
        return ("traffic", self.name)

    @property
    def is_protocol_alone(self) -> bool:
        """It says nothing beyond the protocol, which adapters put into the service's ports."""
        bare = Traffic(name=self.name, hostname=self.hostname, namespace=self.namespace)
        return self == msgspec.structs.replace(bare, protocol=self.protocol)


class Permission(msgspec.Struct, frozen=True, gc=False):
    """Requests that meet all of these conditions are allowed, or denied."""

    is_allowed: bool
    matches: tuple[Match, ...] = ()


class Rule(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Callers, and whether they may. `caller` is the hostname of a service, or `*`. Where there are
    `permissions`, the first one that fits decides, and a request that fits none is denied."""

    caller: str
    is_allowed: bool = False
    permissions: tuple[Permission, ...] = ()
    precedence: int = 0


class Authorization(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="authorization", tag_field="kind"
):
    """Who may call a hostname (`*`: any). `name` is unique in its registry."""

    kind: ClassVar[str] = "authorization"
    name: str
    hostname: str
    namespace: str = "default"
    rules: tuple[Rule, ...] = ()
    """The first one whose caller fits decides."""
    unread: tuple[str, ...] = ()
    origin: Origin = NOWHERE

    @property
    def key(self) -> tuple[str, str]:
        return ("authorization", self.name)


Policy: TypeAlias = Traffic | Authorization
