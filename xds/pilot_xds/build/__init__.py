"""Builders: one view in, one finished resource out. Pure, and deterministic to the byte.

The same view always makes the same bytes, so a resource is kept for as long as somebody holds it,
and never made twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from pilot_core.plan.views import (
    ApiListenerView,
    CaughtListenerView,
    ClusterView,
    EndpointsView,
    ForwardListenerView,
    GateView,
    HttpListenerView,
    PortListenerView,
    RootsView,
    RoutesView,
    View,
)
from pilot_xds.build import cluster, endpoints, intercepted, listener, routes, tls
from pilot_xds.resource import Resource
from pilot_xds.types import ResourceType
from pilot_xds.wire import field

_BUILDERS: dict[type, tuple[ResourceType, Callable[[Any], bytes]]] = {
    ClusterView: (ResourceType.CLUSTER, cluster.build),
    EndpointsView: (ResourceType.ENDPOINTS, endpoints.build),
    RoutesView: (ResourceType.ROUTES, routes.build),
    HttpListenerView: (ResourceType.LISTENER, listener.routed),
    ForwardListenerView: (ResourceType.LISTENER, listener.forwarding),
    CaughtListenerView: (ResourceType.LISTENER, intercepted.caught),
    PortListenerView: (ResourceType.LISTENER, intercepted.port),
    GateView: (ResourceType.LISTENER, intercepted.gate),
    RootsView: (ResourceType.SECRET, tls.roots),
    ApiListenerView: (ResourceType.LISTENER, listener.api),
}
_URL_FIELDS = {kind: field(1, kind.url.encode()) for kind in ResourceType}
_made: WeakValueDictionary[View, Resource] = WeakValueDictionary()


def resource(view: View) -> Resource:
    """The resource of a view: built when it is first asked for."""
    found = _made.get(view)
    if found is None:
        kind, build = _BUILDERS[type(view)]
        # A google.protobuf.Any by hand: type_url is its field 1, value its field 2.
        found = _made[view] = Resource(view.name, _URL_FIELDS[kind] + field(2, build(view)))
    return found
