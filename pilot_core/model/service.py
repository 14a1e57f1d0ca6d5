"""A service: the name that callers use, and the ports behind it."""

from __future__ import annotations

import enum
from typing import ClassVar

import msgspec

from pilot_core.model.origin import NOWHERE, Origin
from pilot_core.model.protocol import Protocol

EVERYWHERE = "*"
OWN_NAMESPACE = "."


class Resolution(enum.StrEnum):
    """How callers get from the name to addresses."""

    STATIC = "static"
    """The registry's endpoints are the addresses."""
    DNS = "dns"
    """The endpoints are DNS names, which every proxy resolves by itself."""
    PASSTHROUGH = "passthrough"
    """The connection goes to the address that the caller had chosen."""


class Port(msgspec.Struct, frozen=True, gc=False):
    """One port of a service, as callers name it: endpoints may listen elsewhere."""

    name: str
    number: int
    protocol: Protocol = Protocol.TCP


class Service(
    msgspec.Struct,
    frozen=True,
    gc=False,
    cache_hash=True,
    kw_only=True,
    tag="service",
    tag_field="kind",
):
    """What one registry says of one hostname.

    `hostname` is lower case and unique in the world: several registries that hold the same one
    are merged (`pilot_core.model.merge`). `visibility` lists the namespaces that see the service,
    with `*` for all and `.` for its own. `addresses` are virtual addresses that a platform gave to
    the service. `identities` are the SPIFFE ids that its endpoints may present, besides their own.
    """

    kind: ClassVar[str] = "service"
    hostname: str
    namespace: str = "default"
    ports: tuple[Port, ...] = ()
    resolution: Resolution = Resolution.STATIC
    visibility: tuple[str, ...] = (EVERYWHERE,)
    addresses: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    origin: Origin = NOWHERE

    @property
    def key(self) -> tuple[str, str]:
        return ("service", self.hostname)

    @property
    def is_public(self) -> bool:
        """Seen from every namespace."""
        return EVERYWHERE in self.visibility

    def is_visible_in(self, namespace: str) -> bool:
        if self.is_public or namespace in self.visibility:
            return True
        return OWN_NAMESPACE in self.visibility and namespace == self.namespace

    def audience(self) -> frozenset[str]:
        """The namespaces that see this service; `{"*"}` where all do."""
        if self.is_public:
            return frozenset((EVERYWHERE,))
        own = {self.namespace} if OWN_NAMESPACE in self.visibility else set()
        return frozenset(own | (set(self.visibility) - {OWN_NAMESPACE}))

    def port(self, number: int) -> Port | None:
        return next((p for p in self.ports if p.number == number), None)
