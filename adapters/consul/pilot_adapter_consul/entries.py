"""Consul's answers, as far as they are read. `null` stands for empty nearly everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from pilot_core.adapter import Unavailable

T = TypeVar("T")


class _Answer(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    """Fields are named as Consul names them."""


class Place(_Answer, frozen=True, gc=False):
    region: str = ""
    zone: str = ""


class Tagged(_Answer, frozen=True, gc=False):
    """One of a service's addresses: `lan`, `wan`, a family of either, or `consul-virtual`."""

    address: str = ""
    port: int = 0


class Node(_Answer, frozen=True, gc=False):
    node: str
    address: str = ""
    datacenter: str = ""
    meta: Mapping[str, str] | None = None
    tagged_addresses: Mapping[str, str] | None = None
    locality: Place | None = None


class Weights(_Answer, frozen=True, gc=False):
    passing: int = 1
    warning: int = 1


class NamedPort(_Answer, frozen=True, gc=False):
    name: str
    port: int


class Proxy(_Answer, frozen=True, gc=False):
    destination_service_name: str = ""
    destination_service_id: str = msgspec.field(name="DestinationServiceID", default="")
    config: Mapping[str, object] | None = None


class Connect(_Answer, frozen=True, gc=False):
    native: bool = False


class Instance(_Answer, frozen=True, gc=False):
    service: str
    id: str = msgspec.field(name="ID", default="")
    kind: str = ""
    tags: tuple[str, ...] | None = None
    address: str = ""
    meta: Mapping[str, str] | None = None
    port: int = 0
    ports: tuple[NamedPort, ...] | None = None
    socket_path: str = ""
    weights: Weights | None = None
    proxy: Proxy | None = None
    connect: Connect | None = None
    tagged_addresses: Mapping[str, Tagged] | None = None
    namespace: str = ""
    partition: str = ""
    locality: Place | None = None


class Check(_Answer, frozen=True, gc=False):
    node: str = ""
    check_id: str = msgspec.field(name="CheckID", default="")
    status: str = ""
    service_name: str = ""


class Entry(_Answer, frozen=True, gc=False):
    """One instance of a service: where it runs, what it is, how it is."""

    node: Node
    service: Instance
    checks: tuple[Check, ...] | None = None


class Pair(_Answer, frozen=True, gc=False):
    """A key; its value is in base64."""

    key: str
    value: str | None = None
    modify_index: int = 0


class Stream(_Answer, frozen=True, gc=False):
    imported_services: tuple[str, ...] | None = None


class Peering(_Answer, frozen=True, gc=False):
    """How it stands with another cluster, and what that exports to this one."""

    state: str = ""
    stream_status: Stream | None = None


class Root(_Answer, frozen=True, gc=False):
    """An authority, and what it has signed that signs leaves; all in PEM."""

    root_cert: str = ""
    intermediate_certs: tuple[str, ...] | None = None


class Roots(_Answer, frozen=True, gc=False):
    """Whom Consul's mesh trusts."""

    trust_domain: str = ""
    roots: tuple[Root, ...] | None = None


class ServiceIdentity(_Answer, frozen=True, gc=False):
    service_name: str
    datacenters: tuple[str, ...] | None = None


class Variables(msgspec.Struct, frozen=True, gc=False):
    name: str = ""


class TemplatedPolicy(_Answer, frozen=True, gc=False):
    template_name: str
    template_variables: Variables | None = None
    datacenters: tuple[str, ...] | None = None


class AclToken(_Answer, frozen=True, gc=False):
    """The services that a token stands for by itself; what its roles give it is not told."""

    namespace: str = ""
    service_identities: tuple[ServiceIdentity, ...] | None = None
    templated_policies: tuple[TemplatedPolicy, ...] | None = None


instances = msgspec.json.Decoder(tuple[Entry, ...])
names = msgspec.json.Decoder(dict[str, object])
checks = msgspec.json.Decoder(tuple[Check, ...])
pairs = msgspec.json.Decoder(tuple[Pair, ...])
peering = msgspec.json.Decoder(Peering)
acl_token = msgspec.json.Decoder(AclToken)
roots = msgspec.json.Decoder(Roots)


def read(decoder: msgspec.json.Decoder[T], content: bytes, path: str) -> T:
    """The answer to `path`. Raises Unavailable where it is none of Consul's."""
    try:
        return decoder.decode(content)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"{path}: this is no answer of Consul's: {error}") from None
