"""Consul's answers, as far as they are read. `null` stands for empty nearly everywhere."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class _Answer(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    """Fields are named as Consul names them."""


class Place(_Answer, frozen=True, gc=False):
    region: str = ""
    zone: str = ""


class Node(_Answer, frozen=True, gc=False):
    node: str
    address: str = ""
    datacenter: str = ""
    meta: Mapping[str, str] | None = None
    locality: Place | None = None


class Weights(_Answer, frozen=True, gc=False):
    passing: int = 1
    warning: int = 1


class NamedPort(_Answer, frozen=True, gc=False):
    name: str
    port: int


class Proxy(_Answer, frozen=True, gc=False):
    config: Mapping[str, object] | None = None


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
    namespace: str = ""
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


instances = msgspec.json.Decoder(tuple[Entry, ...])
names = msgspec.json.Decoder(dict[str, object])
checks = msgspec.json.Decoder(tuple[Check, ...])
