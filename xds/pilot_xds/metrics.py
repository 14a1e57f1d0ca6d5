"""What the xDS server counts. Names are Istio's where the meaning is the same.

Labels come from closed sets: no proxy, no service, no stream.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pilot_xds.types import ResourceType

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class XdsMetrics:
    """Children are looked up once: counting is on the way of every push."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.streams = Gauge("pilot_xds", "connected xDS streams", ["variant"], registry=registry)
        pushes = Counter(
            "pilot_xds_pushes", "responses sent, by resource type", ["type"], registry=registry
        )
        resources = Counter(
            "pilot_xds_resources", "resources sent or removed", ["type"], registry=registry
        )
        rejects = Counter(
            "pilot_total_xds_rejects", "responses that proxies refused", ["type"], registry=registry
        )
        self.convergence = Histogram(
            "pilot_proxy_convergence_time",
            "seconds from a change to its acknowledgement by a proxy",
            buckets=_SECONDS,
            registry=registry,
        )
        self.build_time = Histogram(
            "pilot_xds_push_context_seconds",
            "seconds from a change of the world to the new snapshots",
            buckets=_SECONDS,
            registry=registry,
        )
        self.write_timeouts = Counter(
            "pilot_xds_write_timeout", "streams ended because nobody read them", registry=registry
        )
        self.malformed = Counter(
            "pilot_xds_malformed_requests",
            "streams ended by bytes that are no request",
            registry=registry,
        )
        self.pushes = {kind: pushes.labels(kind.short) for kind in ResourceType}
        self.resources = {kind: resources.labels(kind.short) for kind in ResourceType}
        self.rejects = {kind: rejects.labels(kind.short) for kind in ResourceType}
