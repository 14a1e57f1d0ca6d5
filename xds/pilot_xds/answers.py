"""The resources of a response, as finished bytes: shared ones wherever streams say the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from pilot_xds import steps, wire
from pilot_xds.layer import Step
from pilot_xds.names import Names, Versions
from pilot_xds.resource import Resource
from pilot_xds.snapshot import find, version_of
from pilot_xds.steps import Layers
from pilot_xds.subscription import Subscription
from pilot_xds.types import ResourceType, Variant

_REMEMBERED = 8
"""Answers to large subscriptions that are kept; each may be megabytes."""
_LARGE = 16


class Body(msgspec.Struct, frozen=True, gc=False):
    """Encoded fields, and how many resources they carry and remove."""

    data: bytes = b""
    resources: int = 0
    removed: int = 0

    def __bool__(self) -> bool:
        return bool(self.data)

    def plus(self, more: Body) -> Body:
        if not more.data:
            return self
        return Body(
            self.data + more.data, self.resources + more.resources, self.removed + more.removed
        )


NOTHING = Body()
_recent: OrderedDict[tuple[frozenset[str], str, Variant], Body] = OrderedDict()


def everything(layers: Layers, variant: Variant) -> Body:
    """All of these layers."""
    count = sum(len(layer.resources) for layer in layers)
    return Body(b"".join([layer.body(variant) for layer in layers]), count)


def full_state(sub: Subscription, layers: Layers) -> Body:
    """State of the world: everything that the client wants, with what is leaving still in it.

    In the place of what it refused is what it had accepted before: to leave it out would remove it.
    """
    leaving = _of((r for r in sub.leaving.values() if r is not None), Variant.SOTW)
    if sub.is_wildcard and not sub.culprits:
        return everything(layers, Variant.SOTW).plus(leaving)
    names = steps.names(layers) if sub.is_wildcard else sub.names.set
    found = (sub.acceptable(r) for r in _found(sorted(names), layers))
    return _of((r for r in found if r is not None), Variant.SOTW).plus(leaving)


def changed(sub: Subscription, step: Step, variant: Variant) -> Body:
    """What the client wants of a step."""
    if not step.changed:
        return NOTHING
    if not sub.culprits and (sub.is_wildcard or step.changed.keys() <= sub.names.set):
        return Body(step.body(variant), len(step.changed))
    wanted = (r for n, r in step.changed.items() if sub.wants(n) and not sub.is_refused(r))
    return _of(wanted, variant)


def named(names: frozenset[str], sub: Subscription, layers: Layers, variant: Variant) -> Body:
    """The resources with these names; and what can be said of names that stand for nothing.

    Endpoints that do not exist are an empty assignment, with which a cluster is ready: in state of
    the world the client would wait 15 s for them. Other types say `removed` in delta.
    """
    if not names:
        return NOTHING
    if len(names) < _LARGE:
        return _named(names, sub.type, layers, variant)
    if names is sub.names.set and _is_all_of(sub.names, layers):
        return everything(layers, variant)
    return _remembered(names, sub.type, layers, variant)


def missing(names: Iterable[str], type: ResourceType, variant: Variant) -> Body:
    """What tells a client that there is nothing by these names, as far as there are words for it.

    Envoy ignores that endpoints are removed, and in state of the world waits for them in vain: an
    empty assignment says the same, and is heard.
    """
    ordered = tuple(sorted(names))
    if type is ResourceType.ENDPOINTS:
        return _of((empty_assignment(name) for name in ordered), variant)
    return removed(ordered) if variant is Variant.DELTA else NOTHING


def removed(names: tuple[str, ...]) -> Body:
    """Delta: these are gone."""
    return Body(wire.removed_fields(names), 0, len(names))


def since_versions(said: Versions, layers: Layers) -> Step:
    """What differs for a client that has these versions; worked out once for all that say so."""
    digest = version_of(layers)
    known = said.memory.get("step")
    if isinstance(known, tuple) and known[0] == digest:
        step: Step = known[1]
        return step
    step = steps.from_versions(said.by_name, layers)
    said.memory["step"] = (digest, step)
    return step


def empty_assignment(cluster: str) -> Resource:
    """A ClusterLoadAssignment without endpoints: its field 1 is the cluster's name."""
    url = wire.field(1, ResourceType.ENDPOINTS.url.encode())
    return Resource(cluster, url + wire.field(2, wire.field(1, cluster.encode())))


def _is_all_of(names: Names, layers: Layers) -> bool:
    """Do these names stand for all of the layers, and nothing else? So they do for most clients."""
    if len(names) != sum(len(layer.resources) for layer in layers):
        return False
    digest = version_of(layers)
    if names.memory.get("all of") == digest:
        return True
    if not all(name in names for layer in layers for name in layer.resources):
        return False
    names.memory["all of"] = digest
    return True


def _remembered(
    names: frozenset[str], type: ResourceType, layers: Layers, variant: Variant
) -> Body:
    key = (names, version_of(layers) + type.value, variant)
    body = _recent.get(key)
    if body is None:
        body = _recent[key] = _named(names, type, layers, variant)
        if len(_recent) > _REMEMBERED:
            _recent.popitem(last=False)
    return body


def _named(names: frozenset[str], type: ResourceType, layers: Layers, variant: Variant) -> Body:
    ordered = sorted(names)
    found = _of(_found(ordered, layers), variant)
    if found.resources == len(ordered):
        return found
    absent = [name for name in ordered if find(layers, name) is None]
    return found.plus(missing(absent, type, variant))


def _found(names: Iterable[str], layers: Layers) -> Iterable[Resource]:
    return (r for name in names if (r := find(layers, name)) is not None)


def _of(resources: Iterable[Resource], variant: Variant) -> Body:
    bodies = [r.body(variant) for r in resources]
    return Body(b"".join(bodies), len(bodies)) if bodies else NOTHING
