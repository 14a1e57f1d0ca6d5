"""Consul's own mesh: which instances take part in it, and under which names.

Rule 1: a proxy (`connect-proxy`) is no service of a user's, but a part of the instance that it
stands beside, on the same node.
Rule 2: names are Consul's own, in its own trust domain (agent/connect/uri_service.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from pilot_adapter_consul.entries import Entry, Instance, Node
from pilot_adapter_consul.scope import DEFAULT

PROXY = "connect-proxy"
VIRTUAL = "consul-virtual"
SUFFIX = "-sidecar-proxy"
"""What Consul appends to a service's name where nobody says how its proxy is called."""

Beside: TypeAlias = tuple[str, str]
"""The node and the service id of the instance that a proxy stands beside."""


class Sidecar(msgspec.Struct, frozen=True, gc=False):
    """What is to be known of a proxy: the protocol it was told, and its service's address."""

    protocol: str = ""
    virtual: str = ""


NONE: Mapping[Beside, Sidecar] = {}
"""No sidecars."""


def of(entries: Iterable[Entry]) -> dict[str, dict[Beside, Sidecar]]:
    """The proxies among these instances, by the service that they serve."""
    found: dict[str, dict[Beside, Sidecar]] = {}
    for entry in entries:
        proxy = entry.service.proxy
        if entry.service.kind == PROXY and proxy is not None and proxy.destination_service_name:
            service = proxy.destination_service_name
            beside = entry.node.node, proxy.destination_service_id or service
            said = (proxy.config or {}).get("protocol", "")
            sidecar = Sidecar(str(said), virtual(entry.service))
            found.setdefault(service, {})[beside] = sidecar
    return found


def virtual(instance: Instance) -> str:
    """The address that Consul gave to the whole service; empty where it gave none."""
    tagged = (instance.tagged_addresses or {}).get(VIRTUAL)
    return tagged.address if tagged else ""


def spiffe_id(trust_domain: str, instance: Instance, node: Node) -> str:
    """The name of an instance in Consul's mesh."""
    partition = f"/ap/{instance.partition}" if instance.partition not in ("", DEFAULT) else ""
    namespace = instance.namespace or DEFAULT
    return (
        f"spiffe://{trust_domain}{partition}/ns/{namespace}/dc/{node.datacenter}"
        f"/svc/{instance.service}"
    )
