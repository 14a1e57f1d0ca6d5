"""Which part of what an agent knows is read: a datacentre, a namespace, a partition or a peer.

The names are those of Consul's DNS (developer.hashicorp.com/consul/docs/services/discovery): each
part that is not the agent's own is in the hostname, so that two parts never mean the same service.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec

from pilot_adapter_consul.settings import ConsulConfig

DEFAULT = "default"


class Scope(msgspec.Struct, frozen=True, gc=False):
    """Empty fields: the agent's own. A peer's services are read from the agent's datacentre."""

    datacenter: str = ""
    namespace: str = ""
    partition: str = ""
    peer: str = ""

    @property
    def query(self) -> dict[str, str]:
        """The parameters that ask for it."""
        said = {
            "dc": self.datacenter,
            "ns": self.namespace,
            "partition": self.partition,
            "peer": self.peer,
        }
        return {key: value for key, value in said.items() if value}

    @property
    def prefix(self) -> str:
        """What its sources begin with; empty for the agent's own, all of it."""
        parts = (self.datacenter, self.partition, self.namespace, self.peer and f"peer-{self.peer}")
        return "".join(f"{part}/" for part in parts if part)

    @property
    def words(self) -> str:
        """For people."""
        said = {
            "datacentre": self.datacenter,
            "partition": self.partition,
            "namespace": self.namespace,
            "peer": self.peer,
        }
        return ", ".join(f"{what} {name}" for what, name in said.items() if name) or "all"

    @property
    def has_consul(self) -> bool:
        """Is Consul's own service in it? It is registered in the servers' default namespace."""
        is_default = {self.namespace, self.partition} <= {"", DEFAULT}
        return is_default and not self.peer

    def hostname(self, service: str) -> str:
        """`web.service.consul`, `web.service.dc2.consul`, `web.service.shop.ns.one.ap.consul`,
        `web.service.east.peer.consul`; in lower case, as Consul looks names up."""
        parts = [service, "service"]
        is_plain = not (self.namespace or self.partition or self.peer)
        if self.namespace:
            parts += [self.namespace, "ns"]
        if self.peer:
            parts += [self.peer, "peer"]
        if self.partition:
            parts += [self.partition, "ap"]
        if self.datacenter:
            parts += [self.datacenter] if is_plain else [self.datacenter, "dc"]
        return ".".join((*parts, "consul")).lower()


def scopes(config: ConsulConfig) -> Iterator[Scope]:
    """All that is to be read: each namespace of each datacentre, and the peers."""
    parts = itertools.product(config.datacenters or ("",), config.namespaces or ("",))
    for datacenter, namespace in parts:
        yield Scope(datacenter, namespace, config.partition)
    for peer, namespace in itertools.product(config.peers, config.namespaces or ("",)):
        yield Scope("", namespace, config.partition, peer)
