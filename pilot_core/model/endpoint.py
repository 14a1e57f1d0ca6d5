"""Endpoints: the addresses behind a service, and who answers there."""

from __future__ import annotations

import enum
from typing import ClassVar

import msgspec

from pilot_core.model.origin import NOWHERE, Origin
from pilot_core.model.service import Port

UNIX = "unix://"


class Health(enum.StrEnum):
    """The registry's word on an endpoint; the proxies' own checks come on top of it."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """Takes traffic only where the healthy ones do not suffice."""
    DRAINING = "draining"
    """Finishes what it has, takes nothing new."""
    UNHEALTHY = "unhealthy"


class TlsMode(enum.StrEnum):
    """Does the endpoint terminate the mesh's TLS?"""

    PLAIN = "plain"
    MUTUAL = "mutual"


class Locality(msgspec.Struct, frozen=True, gc=False, order=True):
    """A place in the failure-domain tree; an empty level is unknown, and so is all below it."""

    region: str = ""
    zone: str = ""
    subzone: str = ""

    @classmethod
    def parse(cls, text: str) -> Locality:
        """`region/zone/subzone`, each level optional from the right."""
        region, _, rest = text.partition("/")
        zone, _, subzone = rest.partition("/")
        return cls(region, zone, subzone) if text else NO_LOCALITY

    def __str__(self) -> str:
        return "/".join((self.region, self.zone, self.subzone)).rstrip("/")

    def distance(self, other: Locality) -> int:
        """0 same subzone, 1 same zone, 2 same region, 3 elsewhere."""
        if self.region != other.region:
            return 3
        if self.zone != other.zone:
            return 2
        return 0 if self.subzone == other.subzone else 1


NO_LOCALITY = Locality()


class Endpoint(msgspec.Struct, frozen=True, gc=False, cache_hash=True, kw_only=True):
    """One instance of a service.

    `addresses` holds its IP addresses (the first is the primary one; more are other families of
    the same instance), one DNS name where the service's resolution is DNS, or one `unix:///path`.
    `ports` are (port name, number) pairs, sorted; an empty tuple means the service's own numbers.
    `weight` is 0…4294967295, where 0 takes no traffic. `service_account` and the service's
    namespace make up the identity, unless the platform states `identity` as a full SPIFFE id.
    """

    addresses: tuple[str, ...]
    ports: tuple[tuple[str, int], ...] = ()
    health: Health = Health.HEALTHY
    weight: int = 1
    locality: Locality = NO_LOCALITY
    network: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    workload: str = ""
    service_account: str = ""
    identity: str = ""
    tls: TlsMode = TlsMode.PLAIN
    tls_name: str = ""
    """The DNS name that the platform's own TLS server at this endpoint must present, if any."""
    tls_roots: str = ""
    """The name of the `Roots` that sign for that server; without them it is not spoken to."""

    @property
    def address(self) -> str:
        return self.addresses[0]

    @property
    def is_unix(self) -> bool:
        return self.addresses[0].startswith(UNIX)

    def number(self, port: Port) -> int | None:
        """Where this endpoint serves `port`; None where it does not."""
        if not self.ports:
            return port.number
        return next((number for name, number in self.ports if name == port.name), None)


class Endpoints(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="endpoints", tag_field="kind"
):
    """What one source of one registry says about the endpoints of one hostname."""

    kind: ClassVar[str] = "endpoints"
    hostname: str
    endpoints: tuple[Endpoint, ...] = ()
    origin: Origin = NOWHERE

    @property
    def key(self) -> tuple[str, str]:
        return ("endpoints", self.hostname)


class Shard(msgspec.Struct, frozen=True, gc=False):
    """One source's endpoints in the world: the record, with where it came from."""

    registry: str
    source: str
    endpoints: tuple[Endpoint, ...]
    origin: Origin = NOWHERE
