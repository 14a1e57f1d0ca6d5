"""The shapes of answers, as documented: what is here is the API.

Times are RFC 3339, absent values null, lists sorted.
"""

from __future__ import annotations

import datetime
from typing import Any, Generic, TypeVar

import msgspec

API_VERSION = "pilot-core/v1"
T = TypeVar("T")


class Shape(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Base of all shapes."""


class ShownPort(Shape, frozen=True):
    name: str
    number: int
    protocol: str


class EndpointCount(Shape, frozen=True):
    total: int
    healthy: int


class ShownService(Shape, frozen=True):
    """A service as the mesh sees it; `conflicts` are sentences."""

    hostname: str
    namespace: str
    registries: list[str]
    ports: list[ShownPort]
    resolution: str
    visibility: list[str]
    endpoints: EndpointCount
    conflicts: list[str]


class ShownEndpoint(Shape, frozen=True):
    address: str
    ports: dict[str, int]
    health: str
    weight: int
    locality: str | None
    network: str | None
    labels: dict[str, str]
    workload: str | None
    service_account: str | None
    identity: str | None
    tls: str
    registry: str
    source: str


class ShownHeld(Shape, frozen=True):
    share: float
    sources: list[str]
    since: str


class ShownRegistry(Shape, frozen=True):
    name: str
    kind: str
    state: str
    since: str
    required: bool
    services: int
    endpoints: int
    sources: int
    sessions: int
    last_change: str | None
    error: str | None
    warnings: int
    held: ShownHeld | None


class ShownType(Shape, frozen=True):
    state: str
    version: str | None
    acked: str | None
    error: str | None
    since: str


class ShownProxy(Shape, frozen=True):
    """A connected proxy; a type that it has not asked for is null."""

    id: str
    namespace: str
    workload: str | None
    address: str | None
    mode: str
    platform: str | None
    version: str | None
    connected_since: str
    variant: str
    types: dict[str, ShownType | None]


class ShownProblem(Shape, frozen=True):
    code: str
    severity: str
    registry: str | None
    source: str | None
    object: str | None
    message: str
    origin: str | None
    since: str
    count: int


class ShownConfig(Shape, frozen=True):
    """What the server holds for a proxy: Envoy's messages in protobuf's JSON form, by kind."""

    proxy: str
    clusters: list[dict[str, Any]] | None = None
    listeners: list[dict[str, Any]] | None = None
    routes: list[dict[str, Any]] | None = None
    endpoints: list[dict[str, Any]] | None = None
    secrets: list[dict[str, Any]] | None = None


class ShownSigner(Shape, frozen=True):
    """A certificate that signs; `leaves_until` is until when something it has signed is valid."""

    id: str
    state: str
    tainted: bool
    is_root: bool
    not_before: str
    not_after: str
    prepared: str | None
    activated: str | None
    retired: str | None
    leaves_until: str | None


class ShownStep(Shape, frozen=True):
    """One line of the authority's history."""

    at: str
    step: str
    signer: str
    who: str
    why: str


class ShownAuthority(Shape, frozen=True):
    """The certificate authority; `waits_for` says whom the step that is due waits for."""

    trust_domain: str
    sequence: int
    expires: str | None
    signers: list[ShownSigner]
    waits_for: str | None
    certificates: int
    late: int
    agents: int
    without_new_roots: list[str]
    damage: str | None
    time: str
    steps: list[ShownStep]


class ShownCertificate(Shape, frozen=True):
    """A certificate that is valid, of kind `signer` or `workload`; `holder` is an address."""

    name: str
    kind: str
    state: str
    holder: str | None
    attestor: str | None
    serial: str
    signer: str | None
    not_before: str
    not_after: str


class ShownToken(Shape, frozen=True):
    """A join token, which is shown this once."""

    token: str
    identities: list[str]
    expires: str


class Listing(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Many of one shape."""

    api_version: str = msgspec.field(name="apiVersion", default=API_VERSION)
    kind: str
    items: list[T]


class ShownVersion(Shape, frozen=True, kw_only=True):
    """Which program answers."""

    name: str = "pilot-core"
    version: str
    api: str = API_VERSION


class ShownError(Shape, frozen=True):
    """What went wrong, and what to do."""

    error: str
    hint: str | None = None


def time(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339, in UTC."""
    made = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return made.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_or_none(seconds: float | None) -> str | None:
    return None if seconds is None else time(seconds)
