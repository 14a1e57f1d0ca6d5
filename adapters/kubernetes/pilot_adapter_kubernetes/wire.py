"""What an API server sends, reduced to the fields that are read: types for msgspec.

Everything that the API may leave out or send as `null` has a default; what is not named here is
skipped by the decoder and costs no memory. Tuples cost the garbage collector nothing, lists do.
"""

from __future__ import annotations

import msgspec


class _Wire(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Base: camelCase on the wire."""


class Owner(_Wire, frozen=True):
    kind: str = ""
    name: str = ""
    controller: bool | None = None


class Meta(_Wire, frozen=True):
    """ObjectMeta."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[Owner, ...] | None = None


class Named(_Wire, frozen=True):
    """Any object, for its name alone."""

    metadata: Meta = Meta()


class ServicePort(_Wire, frozen=True):
    port: int
    name: str | None = None
    protocol: str | None = None
    app_protocol: str | None = None


class ServiceSpec(_Wire, frozen=True):
    type: str | None = None
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    cluster_ips: tuple[str, ...] | None = msgspec.field(default=None, name="clusterIPs")
    ip_families: tuple[str, ...] | None = None
    external_name: str | None = None
    selector: dict[str, str] | None = None
    ports: tuple[ServicePort, ...] | None = None
    internal_traffic_policy: str | None = None
    traffic_distribution: str | None = None


class Service(_Wire, frozen=True):
    metadata: Meta
    spec: ServiceSpec = ServiceSpec()


class Conditions(_Wire, frozen=True):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Reference(_Wire, frozen=True):
    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""


class SliceEndpoint(_Wire, frozen=True):
    addresses: tuple[str, ...] | None = None
    conditions: Conditions | None = None
    target_ref: Reference | None = None
    node_name: str | None = None


class SlicePort(_Wire, frozen=True):
    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class EndpointSlice(_Wire, frozen=True):
    metadata: Meta
    address_type: str = "IPv4"
    endpoints: tuple[SliceEndpoint, ...] | None = None
    ports: tuple[SlicePort, ...] | None = None


class PodSpec(_Wire, frozen=True):
    service_account_name: str | None = None
    node_name: str | None = None
    host_network: bool | None = None


class PodAddress(_Wire, frozen=True):
    ip: str = ""


class Condition(_Wire, frozen=True):
    type: str = ""
    status: str = ""


class PodStatus(_Wire, frozen=True):
    phase: str | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    pod_ips: tuple[PodAddress, ...] | None = msgspec.field(default=None, name="podIPs")
    conditions: tuple[Condition, ...] | None = None


class Pod(_Wire, frozen=True):
    metadata: Meta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class Node(_Wire, frozen=True):
    metadata: Meta


class Secret(_Wire, frozen=True):
    metadata: Meta
    data: dict[str, str] | None = None


class Version(_Wire, frozen=True):
    name: str
    served: bool = False


class DefinitionSpec(_Wire, frozen=True):
    versions: tuple[Version, ...] = ()


class DefinitionStatus(_Wire, frozen=True):
    conditions: tuple[Condition, ...] | None = None


class Definition(_Wire, frozen=True):
    """A CustomResourceDefinition."""

    metadata: Meta
    spec: DefinitionSpec
    status: DefinitionStatus | None = None


class Custom(_Wire, frozen=True):
    """An object of a custom resource: what it says is left as it is."""

    api_version: str
    kind: str
    metadata: Meta
    spec: msgspec.Raw = msgspec.Raw(b"{}")


class LeaseSpec(_Wire, frozen=True, omit_defaults=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(_Wire, frozen=True):
    metadata: Meta
    spec: LeaseSpec = LeaseSpec()


class UserInfo(_Wire, frozen=True):
    username: str = ""
    groups: tuple[str, ...] | None = None
    extra: dict[str, tuple[str, ...]] | None = None


class TokenReviewStatus(_Wire, frozen=True):
    authenticated: bool = False
    error: str = ""
    audiences: tuple[str, ...] | None = None
    user: UserInfo = UserInfo()


class TokenReview(_Wire, frozen=True):
    status: TokenReviewStatus = TokenReviewStatus()


class ListMeta(_Wire, frozen=True):
    resource_version: str = ""
    continue_: str | None = msgspec.field(default=None, name="continue")


class Page(_Wire, frozen=True):
    """A list, with its items left as they are: one that is malformed must not spoil the rest."""

    metadata: ListMeta = ListMeta()
    items: tuple[msgspec.Raw, ...] | None = None


class Event(_Wire, frozen=True):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


class Status(_Wire, frozen=True):
    """An API server's refusal."""

    code: int | None = None
    reason: str | None = None
    message: str | None = None
