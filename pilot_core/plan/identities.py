"""Who answers at an endpoint: the SPIFFE ids that its certificate may show.

Rule 1: an id that the platform states is taken as it is; else namespace and service account make
one, and a workload without an account of its own has its namespace's `default`.
"""

from __future__ import annotations

from collections.abc import Iterable

from pilot_core.model import Endpoint, Port, Service, TlsMode

SCHEME = "spiffe://"
DEFAULT_TRUST_DOMAIN = "cluster.local"
_DEFAULT_ACCOUNT = "default"


def prefix(trust_domain: str) -> str:
    """What all ids of the trust domain begin with."""
    return f"{SCHEME}{trust_domain}/"


def of(endpoint: Endpoint, service: Service, trust_domain: str) -> str:
    """The id of the workload at this endpoint."""
    account = endpoint.service_account or _DEFAULT_ACCOUNT
    return endpoint.identity or f"{prefix(trust_domain)}ns/{service.namespace}/sa/{account}"


def behind(
    endpoints: Iterable[Endpoint], service: Service, port: Port, trust_domain: str
) -> tuple[str, ...]:
    """The ids behind a port, sorted: those of its endpoints that terminate the mesh's TLS, with
    those that the service states besides. None where no endpoint does."""
    found = {
        of(endpoint, service, trust_domain)
        for endpoint in endpoints
        if endpoint.tls is TlsMode.MUTUAL and endpoint.number(port) is not None
    }
    return tuple(sorted(found.union(service.identities))) if found else ()
