"""The resource types of xDS, in the order in which they are sent.

Make before break (the xDS protocol, "Eventual consistency considerations"): clusters, then their
endpoints, then listeners, then the routes that use all of them.
"""

from __future__ import annotations

import enum

_PREFIX = "type.googleapis.com/"


class Variant(enum.StrEnum):
    """How a stream speaks: only what differs, or the state of the world."""

    DELTA = "delta"
    SOTW = "sotw"


class ResourceType(enum.Enum):
    """The value is the name that layers of `pilot_core.plan` use."""

    CLUSTER = "cluster"
    ENDPOINTS = "endpoints"
    LISTENER = "listener"
    ROUTES = "routes"
    SECRET = "secret"

    url: str
    short: str
    is_full_state: bool
    """In the state-of-the-world protocol a response holds all there is, and absence removes."""

    # Types are the keys of every stream's dicts, and Enum's own hash is a function in Python.
    __hash__ = object.__hash__


def _describe(kind: ResourceType, message: str, short: str, is_full_state: bool) -> None:
    kind.url, kind.short, kind.is_full_state = _PREFIX + message, short, is_full_state


_describe(ResourceType.CLUSTER, "envoy.config.cluster.v3.Cluster", "CDS", True)
_describe(ResourceType.ENDPOINTS, "envoy.config.endpoint.v3.ClusterLoadAssignment", "EDS", False)
_describe(ResourceType.LISTENER, "envoy.config.listener.v3.Listener", "LDS", True)
_describe(ResourceType.ROUTES, "envoy.config.route.v3.RouteConfiguration", "RDS", False)
_describe(ResourceType.SECRET, "envoy.extensions.transport_sockets.tls.v3.Secret", "SDS", False)

BY_URL = {kind.url: kind for kind in ResourceType}
PUSH_ORDER = (
    ResourceType.CLUSTER,
    ResourceType.ENDPOINTS,
    ResourceType.SECRET,
    ResourceType.LISTENER,
    ResourceType.ROUTES,
)
REMOVAL_ORDER = (
    ResourceType.LISTENER,
    ResourceType.ROUTES,
    ResourceType.CLUSTER,
    ResourceType.ENDPOINTS,
    ResourceType.SECRET,
)
"""What uses something goes before what it uses."""
