"""The resources of a response, as finished bytes: shared ones wherever streams say the same."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pilot_xds import steps, wire
from pilot_xds.layer import Step
from pilot_xds.names import Names, Versions
from pilot_xds.resource import Resource
from pilot_xds.snapshot import find
from pilot_xds.steps import Layers
from pilot_xds.subscription import Subscription
from pilot_xds.types import ResourceType, Variant


class Body(msgspec.Struct, frozen=True, gc=False):
    """Encoded fields, and how many resources they carry and remove.

    `is_void`: nothing is to be said at all, not even that there is nothing.
    """

    data: bytes = b""
    resources: int = 0
    removed: int = 0
    is_void: bool = False

    def plus(self, more: Body) -> Body:
        if not more.data:
            return self
        return Body(
            self.data + more.data, self.resources + more.resources, self.removed + more.removed
        )


VOID = Body(is_void=True)


def everything(sub: Subscription, layers: Layers, variant: Variant) -> Body:
    """All that the client wants of these layers."""
    if sub.is_wildcard:
        count = sum(len(layer.resources) for layer in layers)
        return Body(b"".join(layer.body(variant) for layer in layers), count)
    return _of(_found(sorted(sub.names.set), layers), variant)


def full_state(sub: Subscription, step: Step, layers: Layers) -> Body:
    """State of the world: everything, with what is leaving still in it; void if all is known."""
    is_new = any(sub.wants(name) for name in step.changed)
    if not is_new and not sub.must_answer:
        return VOID
    body = everything(sub, layers, Variant.SOTW)
    return body.plus(_of((r for r in sub.leaving.values() if r is not None), Variant.SOTW))


def changed(sub: Subscription, step: Step, variant: Variant) -> Body:
    """What the client wants of a step."""
    if not sub.culprits and (sub.is_wildcard or all(n in sub.names for n in step.changed)):
        return Body(step.body(variant), len(step.changed))
    wanted = (r for n, r in step.changed.items() if sub.wants(n) and not sub.is_refused(r))
    return _of(wanted, variant)


def named(sub: Subscription, names: frozenset[str], layers: Layers, variant: Variant) -> Body:
    """The resources with these names; and what can be said of names that stand for nothing.

    Endpoints that do not exist are an empty assignment, with which a cluster is ready: in state of
    the world the client would wait 15 s for them. Other types say `removed` in delta.
    """
    if len(names) == len(sub.names) and names == sub.names.set:
        return _remembered(sub.names, sub.type, layers, variant)
    return _named(names, sub.type, layers, variant)


def without(sub: Subscription, layers: Layers, variant: Variant) -> Body:
    """What tells a client that `sub.leaving` is gone; void where there are no words for it."""
    if variant is Variant.DELTA:
        gone = tuple(sorted(n for n in sub.leaving if sub.wants(n) and find(layers, n) is None))
        return Body(wire.removed_fields(gone), 0, len(gone)) if gone else VOID
    if not sub.type.is_full_state:
        return VOID
    return everything(sub, layers, Variant.SOTW)


def since_versions(said: Versions, layers: Layers) -> Step:
    """What differs for a client that has these versions; worked out once for all that say so."""
    known = said.memory.get("step")
    if isinstance(known, tuple) and known[0] == layers:
        step: Step = known[1]
        return step
    step = steps.from_versions(said.by_name, layers)
    said.memory["step"] = (layers, step)
    return step


def _remembered(names: Names, type: ResourceType, layers: Layers, variant: Variant) -> Body:
    known = names.memory.get(variant)
    if isinstance(known, tuple) and known[0] == layers:
        body: Body = known[1]
        return body
    body = _named(names.set, type, layers, variant)
    names.memory[variant] = (layers, body)
    return body


def _named(names: frozenset[str], type: ResourceType, layers: Layers, variant: Variant) -> Body:
    ordered = sorted(names)
    found = _of(_found(ordered, layers), variant)
    if found.resources == len(ordered):
        return found
    missing = tuple(name for name in ordered if find(layers, name) is None)
    if type is ResourceType.ENDPOINTS:
        return found.plus(_of((empty_assignment(name) for name in missing), variant))
    if variant is Variant.DELTA:
        return found.plus(Body(wire.removed_fields(missing), 0, len(missing)))
    return found


def empty_assignment(cluster: str) -> Resource:
    """A ClusterLoadAssignment without endpoints: its field 1 is the cluster's name."""
    url = wire.field(1, ResourceType.ENDPOINTS.url.encode())
    return Resource(cluster, url + wire.field(2, wire.field(1, cluster.encode())))


def _found(names: Iterable[str], layers: Layers) -> Iterable[Resource]:
    return (r for name in names if (r := find(layers, name)) is not None)


def _of(resources: Iterable[Resource], variant: Variant) -> Body:
    bodies = [r.body(variant) for r in resources]
    return Body(b"".join(bodies), len(bodies))
