"""What the xDS server counts; what it is called stands in `pilot_core.telemetry.names`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from pilot_core.rpc.limits import Cut
from pilot_core.telemetry import names
from pilot_core.telemetry.metrics import Tally, counter, gauge, histogram
from pilot_xds.types import ResourceType


class XdsMetrics:
    """Children are looked up once: counting is on the way of every push."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.streams = gauge(names.XDS_STREAMS, registry)
        self.convergence = histogram(names.XDS_CONVERGENCE, registry)
        self.build_time = histogram(names.XDS_BUILD_TIME, registry)
        self.write_timeouts = counter(names.XDS_WRITE_TIMEOUTS, registry)
        self.malformed = counter(names.XDS_MALFORMED, registry)
        shorts = [kind.short for kind in ResourceType]
        self.pushes = Tally(names.XDS_PUSHES, shorts, registry).counts
        self.resources = Tally(names.XDS_RESOURCES, shorts, registry).counts
        rejects = counter(names.XDS_REJECTS, registry)
        cut = counter(names.XDS_CONNECTIONS_CUT, registry)
        self.cut = {reason: cut.labels(reason) for reason in Cut}
        self.rejects = {kind: rejects.labels(kind.short) for kind in ResourceType}
