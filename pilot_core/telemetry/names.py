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
    "pilot_registry_warnings",
    "gauge",
    "objects of a registry that are refused, or not honoured in full",
    ("adapter",),
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
XDS_CONNECTIONS_CUT = Name(
    "pilot_xds_connections_cut", "counter", "connections refused or cut off", ("reason",)
)
XDS_MALFORMED = Name(
    "pilot_xds_malformed_requests", "counter", "streams ended by bytes that are no request"
)

CSR_COUNT = Name("citadel_server_csr_count", "counter", "certificates asked for")
CSR_ISSUED = Name(
    "citadel_server_success_cert_issuance_count", "counter", "certificates handed out"
)
CSR_UNKNOWN = Name(
    "citadel_server_authentication_failure_count",
    "counter",
    "calls for a certificate that proved nothing",
)
CSR_MALFORMED = Name(
    "citadel_server_csr_parsing_err_count", "counter", "requests for a certificate that are none"
)
CSR_UNSIGNED = Name(
    "citadel_server_csr_sign_err_count", "counter", "times the authority could not sign"
)
ROOT_EXPIRY = Name(
    "citadel_server_root_cert_expiry_timestamp",
    "gauge",
    "when the root of the active signer ends, in seconds since the epoch",
)
ROOT_EXPIRES_IN = Name(
    "citadel_server_root_cert_expiry_seconds", "gauge", "how long it is until then, in seconds"
)
CHAIN_EXPIRY = Name(
    "citadel_server_cert_chain_expiry_timestamp",
    "gauge",
    "when the active signer itself ends, in seconds since the epoch",
)
CHAIN_EXPIRES_IN = Name(
    "citadel_server_cert_chain_expiry_seconds", "gauge", "how long it is until then, in seconds"
)
CERTS_REFUSED = Name(
    "pilot_certs_refused", "counter", "calls for a certificate that were refused", ("reason",)
)
CERTS_SIGNERS = Name("pilot_certs_signers", "gauge", "signers of the authority", ("state",))
CERTS_SEQUENCE = Name(
    "pilot_certs_bundle_sequence", "gauge", "the version of the trust bundle; it only rises"
)
CERTS_HELD = Name("pilot_certs_held", "gauge", "certificates handed out that are valid")
CERTS_LATE = Name(
    "pilot_certs_late", "gauge", "of those, the ones that should have been renewed by now"
)
CERTS_AGENTS = Name("pilot_certs_agents", "gauge", "agents that follow the trust bundle")
CERTS_NOT_TOLD = Name(
    "pilot_certs_without_new_roots", "gauge", "holders that do not trust every root yet"
)
CERTS_WAITING = Name(
    "pilot_certs_rotation_waiting", "gauge", "1 while a step of a rotation is due and has to wait"
)
AUDIT_LOST = Name("pilot_certs_audit_lost", "counter", "audit records that could not be written")


def declared() -> tuple[Name, ...]:
    """All of them, sorted by name: for documentation, and for tests."""
    return tuple(sorted(value for value in globals().values() if isinstance(value, Name)))
