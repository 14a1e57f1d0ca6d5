"""Consul's configuration entries, as far as they are read.

Their fields are those of developer.hashicorp.com/consul/docs/connect/config-entries. `null` stands
for empty. What an entry says beyond the fields here is found by `unread`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

DEFAULTS, RESOLVER, SPLITTER, ROUTER, INTENTIONS = (
    "service-defaults",
    "service-resolver",
    "service-splitter",
    "service-router",
    "service-intentions",
)
_BOOKKEEPING = {"Kind", "Name", "Meta", "Hash", "CreateIndex", "ModifyIndex", "Namespace"}
_BOOKKEEPING |= {"Partition", "Status", "Type", "LegacyID", "LegacyMeta", "LegacyCreateTime"}
_BOOKKEEPING |= {"LegacyUpdateTime", "Description"}

E = TypeVar("E")


class _Entry(msgspec.Struct, frozen=True, rename="pascal"):
    """Fields are named as Consul names them."""


class HttpHeader(_Entry, frozen=True):
    """Of a header or of a query parameter."""

    name: str = ""
    present: bool = False
    exact: str = ""
    prefix: str = ""
    suffix: str = ""
    contains: str = ""
    regex: str = ""
    invert: bool = False


class HttpMatch(_Entry, frozen=True):
    path_exact: str = ""
    path_prefix: str = ""
    path_regex: str = ""
    methods: tuple[str, ...] | None = None
    header: tuple[HttpHeader, ...] | None = None
    query_param: tuple[HttpHeader, ...] | None = None


class Permission(_Entry, frozen=True):
    action: str = ""
    http: HttpMatch | None = msgspec.field(name="HTTP", default=None)


class Source(_Entry, frozen=True):
    name: str
    action: str = ""
    permissions: tuple[Permission, ...] | None = None
    precedence: int = 0
    namespace: str = ""
    partition: str = ""
    peer: str = ""


class Intentions(_Entry, frozen=True):
    name: str
    sources: tuple[Source, ...] | None = None


class Split(_Entry, frozen=True):
    weight: float = 0
    service: str = ""
    service_subset: str = ""


class Splitter(_Entry, frozen=True):
    name: str
    splits: tuple[Split, ...] | None = None


class RouteMatch(_Entry, frozen=True):
    http: HttpMatch | None = msgspec.field(name="HTTP", default=None)


class Destination(_Entry, frozen=True):
    service: str = ""
    service_subset: str = ""
    prefix_rewrite: str = ""
    request_timeout: str | int = ""
    idle_timeout: str | int = ""
    num_retries: int = 0
    retry_on_connect_failure: bool = False
    retry_on: tuple[str, ...] | None = None
    retry_on_status_codes: tuple[int, ...] | None = None


class Route(_Entry, frozen=True):
    match: RouteMatch | None = None
    destination: Destination | None = None


class Router(_Entry, frozen=True):
    name: str
    routes: tuple[Route, ...] | None = None


class Subset(_Entry, frozen=True):
    filter: str = ""
    only_passing: bool = False


class Redirect(_Entry, frozen=True):
    service: str = ""
    service_subset: str = ""
    datacenter: str = ""
    peer: str = ""


class FailoverTarget(_Entry, frozen=True):
    service: str = ""
    service_subset: str = ""
    datacenter: str = ""
    peer: str = ""


class Failover(_Entry, frozen=True):
    service: str = ""
    service_subset: str = ""
    datacenters: tuple[str, ...] | None = None
    targets: tuple[FailoverTarget, ...] | None = None


class LoadBalancer(_Entry, frozen=True):
    policy: str = ""


class Resolver(_Entry, frozen=True):
    name: str
    default_subset: str = ""
    subsets: Mapping[str, Subset] | None = None
    redirect: Redirect | None = None
    failover: Mapping[str, Failover] | None = None
    connect_timeout: str | int = ""
    request_timeout: str | int = ""
    load_balancer: LoadBalancer | None = None


class Defaults(_Entry, frozen=True):
    name: str
    protocol: str = ""


Entry = Defaults | Resolver | Splitter | Router | Intentions

TYPES: Mapping[str, type[Entry]] = {
    DEFAULTS: Defaults,
    RESOLVER: Resolver,
    SPLITTER: Splitter,
    ROUTER: Router,
    INTENTIONS: Intentions,
}

lists = msgspec.json.Decoder(tuple[dict[str, Any], ...])


def decode(kind: str, raw: Mapping[str, Any]) -> Entry:
    """Raises msgspec.ValidationError, which names the field."""
    return msgspec.convert(raw, TYPES[kind])


def unread(raw: Mapping[str, Any], entry: object) -> tuple[str, ...]:
    """The paths of what `raw` says and `entry` has no field for, each once."""
    return tuple(dict.fromkeys(_unread(raw, entry, "")))


def _unread(raw: Any, known: Any, path: str) -> Iterator[str]:
    if isinstance(raw, list) and isinstance(known, tuple):
        for item, inner in zip(raw, known, strict=True):
            yield from _unread(item, inner, path)
    elif isinstance(raw, dict) and isinstance(known, Mapping):
        for name, value in raw.items():
            yield from _unread(value, known[name], f"{path}.{name}")
    elif isinstance(raw, dict) and isinstance(known, msgspec.Struct):
        fields = {f.encode_name: f.name for f in msgspec.structs.fields(known)}
        for name, value in raw.items():
            where = f"{path}.{name}" if path else name
            if name in fields:
                yield from _unread(value, getattr(known, fields[name]), where)
            elif name not in _BOOKKEEPING and not _is_nothing(value):
                yield where


def _is_nothing(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_nothing(inner) for inner in value.values())
    return not value
