"""Every metric of pilot-core, with what it means: the one place where names are declared.

Rule 1: `pilot_<area>_<thing>_<unit>`; where Istio has a metric of that meaning, its name, so that
dashboards and alerts go on working. That is why counters carry no `_total`: Istio's do not.
Rule 2: labels come from closed sets: names of configured adapters, states, types, results. Never
a service, a proxy or a stream.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["gauge", "counter", "histogram"]


class Name(NamedTuple):
    """A metric: what it is called, what it counts, what it is split by."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


ADAPTER_PREFIX = "pilot_adapter_"
"""Before the name of whatever an adapter counts by itself; labelled `adapter`."""

INFO = Name("pilot_info", "gauge", "1, labelled with the version that runs", ("version",))
SERVICES = Name("pilot_services", "gauge", "services known to the mesh")
PROBLEMS = Name("pilot_problems", "gauge", "open problems", ("severity",))
PROBLEMS_BY_CODE = Name("pilot_problems_by_code", "gauge", "open problems of each kind", ("code",))
RELOADS = Name(
    "pilot_config_reloads", "counter", "times the configuration was read again", ("result",)
)

REGISTRY_STATE = Name(
    "pilot_registry_state", "gauge", "1 for the state a registry is in", ("adapter", "state")
)
REGISTRY_SERVICES = Name("pilot_registry_services", "gauge", "services in a registry", ("adapter",))
REGISTRY_ENDPOINTS = Name(
    "pilot_registry_endpoints", "gauge", "endpoints in a registry", ("adapter",)
)
REGISTRY_SOURCES = Name(
    "pilot_registry_sources", "gauge", "sources (files, objects) of a registry", ("adapter",)
)
REGISTRY_SESSIONS = Name(
    "pilot_registry_sessions", "counter", "sessions begun with a registry", ("adapter",)
)
REGISTRY_WARNINGS = Name(
    "pilot_registry_warnings", "gauge", "objects of a registry that are refused", ("adapter",)
)
REGISTRY_HELD = Name(
    "pilot_registry_held_sources",
    "gauge",
    "sources served on although a suspicious sweep removed them",
    ("adapter",),
)

XDS_STREAMS = Name("pilot_xds", "gauge", "connected xDS streams", ("variant",))
XDS_PUSHES = Name("pilot_xds_pushes", "counter", "responses sent", ("type",))
XDS_RESOURCES = Name("pilot_xds_resources", "counter", "resources sent or removed", ("type",))
XDS_REJECTS = Name(
    "pilot_total_xds_rejects", "counter", "responses that proxies refused", ("type",)
)
XDS_CONVERGENCE = Name(
    "pilot_proxy_convergence_time",
    "histogram",
    "seconds from a change to its acknowledgement by a proxy",
)
XDS_BUILD_TIME = Name(
    "pilot_xds_push_context_seconds",
    "histogram",
    "seconds from a change of the world to the new snapshots",
)
XDS_WRITE_TIMEOUTS = Name(
    "pilot_xds_write_timeout", "counter", "streams ended because nobody read them"
)
XDS_MALFORMED = Name(
    "pilot_xds_malformed_requests", "counter", "streams ended by bytes that are no request"
)


def declared() -> tuple[Name, ...]:
    """All of them, sorted by name: for documentation, and for tests."""
    return tuple(sorted(value for value in globals().values() if isinstance(value, Name)))
