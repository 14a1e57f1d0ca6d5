"""Consul's configuration entries to policies of the model; pure.

Rule 1: one entry is one policy, named `KIND/NAME` as in `consul config read`.
Rule 2: what an entry says and the model has no word for is named in `unread`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pilot_adapter_consul import config_entries as entries
from pilot_adapter_consul.mapping import protocol_of
from pilot_adapter_consul.scope import DEFAULT, Scope
from pilot_core.model import Authorization, Origin, Policy, Traffic
from pilot_core.model.policy import (
    ANYBODY,
    Failover,
    How,
    Match,
    Permission,
    Route,
    Rule,
    Subset,
    Target,
    Where,
)

_NANOSECONDS = 1e9
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"([0-9]*\.?[0-9]+)(h|ms|us|µs|ns|m|s)")
_HUNDREDTHS = 100
"""Splits have weights in percent, with up to two decimals."""
_LABEL = re.compile(r'\s*"?Service\.Meta\.?\[?"?([\w-]+)"?\]?\s*==\s*"?([^"\s]+)"?\s*\Z')
_HOW = ("exact", "prefix", "suffix", "contains", "regex")


def policy(kind: str, raw: Mapping[str, Any], scope: Scope) -> Policy:
    """Raises msgspec.ValidationError where a field is not of its type, ValueError where a time or
    an action is none."""
    entry = entries.decode(kind, raw)
    name = f"{scope.prefix}{kind}/{entry.name}"
    about: dict[str, Any] = {
        "name": name,
        "hostname": ANYBODY if entry.name == ANYBODY else scope.hostname(entry.name),
        "namespace": str(raw.get("Namespace") or scope.namespace or DEFAULT),
        "unread": entries.unread(raw, entry),
        "origin": Origin(name),
    }
    if isinstance(entry, entries.Intentions):
        rules = sorted(_rules(entry, scope), key=lambda rule: -rule.precedence)
        return Authorization(**about, rules=tuple(rules))
    if isinstance(entry, entries.Defaults):
        return Traffic(**about, protocol=protocol_of(entry.protocol))
    if isinstance(entry, entries.Splitter):
        targets = tuple(_share(entry.name, split, scope) for split in entry.splits or ())
        return Traffic(**about, routes=(Route(targets=targets),))
    if isinstance(entry, entries.Router):
        routes = tuple(_route(entry.name, route, scope) for route in entry.routes or ())
        return Traffic(**about, routes=routes)
    return _resolved(entry, scope, about)


def _rules(entry: entries.Intentions, scope: Scope) -> Iterator[Rule]:
    for source in entry.sources or ():
        permissions = source.permissions or ()
        yield Rule(
            caller=_caller(source, scope),
            is_allowed=not permissions and _is_allowed(source.action),
            permissions=tuple(
                Permission(_is_allowed(p.action), _conditions(p.http)) for p in permissions
            ),
            precedence=source.precedence,
        )


def _caller(source: entries.Source, scope: Scope) -> str:
    if source.name == ANYBODY:
        return ANYBODY
    where = Scope(
        scope.datacenter if not source.peer else "",
        source.namespace if source.namespace not in ("", DEFAULT) else scope.namespace,
        source.partition if source.partition not in ("", DEFAULT) else scope.partition,
        source.peer,
    )
    return where.hostname(source.name)


def _is_allowed(action: str) -> bool:
    if action not in ("allow", "deny"):
        raise ValueError(f'"{action}" is no action: allow or deny is expected')
    return action == "allow"


def _conditions(http: entries.HttpMatch | None) -> tuple[Match, ...]:
    """The conditions on one request, but for its method where that is one of several."""
    if http is None:
        return ()
    paths = {How.EXACT: http.path_exact, How.PREFIX: http.path_prefix, How.REGEX: http.path_regex}
    found = [Match(Where.PATH, how, value) for how, value in paths.items() if value]
    methods = http.methods or ()
    if len(methods) == 1:
        found.append(Match(Where.METHOD, How.EXACT, methods[0]))
    elif methods:
        found.append(Match(Where.METHOD, How.REGEX, "|".join(sorted(methods))))
    found += [_header(Where.HEADER, header) for header in http.header or ()]
    found += [_header(Where.QUERY, header) for header in http.query_param or ()]
    return tuple(found)


def _header(where: Where, said: entries.HttpHeader) -> Match:
    for how in _HOW:
        value = getattr(said, how)
        if value:
            return Match(where, How(how), value, said.name, said.invert)
    return Match(where, How.PRESENT, "", said.name, said.invert)


def _share(own: str, split: entries.Split, scope: Scope) -> Target:
    hostname = scope.hostname(split.service or own)
    return Target(hostname, split.service_subset, round(split.weight * _HUNDREDTHS))


def _route(own: str, route: entries.Route, scope: Scope) -> Route:
    said = route.destination or entries.Destination()
    http = route.match.http if route.match else None
    retry_on = [*(said.retry_on or ()), *map(str, said.retry_on_status_codes or ())]
    if said.retry_on_connect_failure:
        retry_on.append("connect-failure")
    return Route(
        matches=(_conditions(http),) if http else (),
        targets=(Target(scope.hostname(said.service or own), said.service_subset),),
        prefix_rewrite=said.prefix_rewrite,
        timeout=seconds(said.request_timeout),
        idle_timeout=seconds(said.idle_timeout),
        retries=said.num_retries or None,
        retry_on=tuple(retry_on),
    )


def _resolved(entry: entries.Resolver, scope: Scope, about: dict[str, Any]) -> Traffic:
    timeout = seconds(entry.request_timeout)
    routes: tuple[Route, ...] = ()
    if entry.redirect:
        routes = (Route(targets=(_elsewhere(entry.name, entry.redirect, scope),), timeout=timeout),)
    elif timeout is not None:
        routes = (Route(targets=(Target(scope.hostname(entry.name)),), timeout=timeout),)
    subsets = sorted((entry.subsets or {}).items())
    failover = sorted((entry.failover or {}).items())
    return Traffic(
        **about,
        routes=routes,
        subsets=tuple(_subset(name, subset) for name, subset in subsets),
        default_subset=entry.default_subset,
        failover=tuple(
            Failover(name, tuple(_failover(entry.name, said, scope))) for name, said in failover
        ),
        balancing=entry.load_balancer.policy if entry.load_balancer else "",
        connect_timeout=seconds(entry.connect_timeout),
    )


def _subset(name: str, said: entries.Subset) -> Subset:
    label = _LABEL.match(said.filter)
    if label is None:
        return Subset(name=name, expression=said.filter, only_healthy=said.only_passing)
    return Subset(name=name, labels=((label[1], label[2]),), only_healthy=said.only_passing)


def _failover(own: str, said: entries.Failover, scope: Scope) -> Iterator[Target]:
    service, subset = said.service or own, said.service_subset
    for datacenter in said.datacenters or ():
        yield Target(Scope(datacenter).hostname(service), subset)
    for target in said.targets or ():
        yield _elsewhere(service, target, scope)
    if not said.datacenters and not said.targets:
        yield Target(scope.hostname(service), subset)


def _elsewhere(own: str, said: entries.Redirect | entries.FailoverTarget, scope: Scope) -> Target:
    there = Scope(said.datacenter, peer=said.peer) if said.datacenter or said.peer else scope
    return Target(there.hostname(said.service or own), said.service_subset)


def seconds(said: str | int) -> float | None:
    """A duration as Go writes it, such as `1m30s`, or nanoseconds; None where nothing is said.
    Raises ValueError."""
    if not said:
        return None
    if isinstance(said, int):
        return said / _NANOSECONDS
    parts = _DURATION.findall(said)
    if "".join(number + unit for number, unit in parts) != said:
        raise ValueError(f'"{said}" is no duration such as 1m30s')
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
