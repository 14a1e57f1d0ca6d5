"""The platform-neutral model: frozen values that every adapter fills and every layer reads.

It imports the standard library and msgspec, nothing else.
"""

from pilot_core.model.delta import Delta
from pilot_core.model.endpoint import (
    NO_LOCALITY,
    Endpoint,
    Endpoints,
    Health,
    Locality,
    Shard,
    TlsMode,
)
from pilot_core.model.inbound import Inbound, InboundTls
from pilot_core.model.merge import Conflict, MeshService
from pilot_core.model.origin import NOWHERE, Origin
from pilot_core.model.policy import Authorization, Policy, Traffic
from pilot_core.model.problem import Problem, Severity
from pilot_core.model.protocol import Protocol, from_port_name
from pilot_core.model.proxy import Mode, Proxy, ProxyKind
from pilot_core.model.record import Claim, Record, RecordKey
from pilot_core.model.service import Port, Resolution, Service
from pilot_core.model.table import Table
from pilot_core.model.trust import Roots, Trust
from pilot_core.model.workload import Evidence, Workload
from pilot_core.model.world import World

__all__ = [
    "NOWHERE",
    "NO_LOCALITY",
    "Authorization",
    "Claim",
    "Conflict",
    "Delta",
    "Endpoint",
    "Endpoints",
    "Evidence",
    "Health",
    "Inbound",
    "InboundTls",
    "Locality",
    "MeshService",
    "Mode",
    "Origin",
    "Policy",
    "Port",
    "Problem",
    "Protocol",
    "Proxy",
    "ProxyKind",
    "Record",
    "RecordKey",
    "Resolution",
    "Roots",
    "Service",
    "Severity",
    "Shard",
    "Table",
    "TlsMode",
    "Traffic",
    "Trust",
    "Workload",
    "World",
    "from_port_name",
]
