"""Who answers at an endpoint: the SPIFFE ids that its certificate may show.

Rule 1: an id that the platform states is taken as it is; else namespace and service account make
one, and a workload without an account of its own has its namespace's `default`.
"""

from __future__ import annotations

from collections.abc import Iterable

from pilot_core.model import Endpoint, InboundTls, Port, Service, TlsMode
from pilot_core.model.inbound import InboundRules

SCHEME = "spiffe://"
NO_RULES = InboundRules()
DEFAULT_TRUST_DOMAIN = "cluster.local"
_DEFAULT_ACCOUNT = "default"


def prefix(trust_domain: str) -> str:
    """What all ids of the trust domain begin with."""
    return f"{SCHEME}{trust_domain}/"


def of(endpoint: Endpoint, service: Service, trust_domain: str) -> str:
    """The id of the workload at this endpoint."""
    account = endpoint.service_account or _DEFAULT_ACCOUNT
    return endpoint.identity or f"{prefix(trust_domain)}ns/{service.namespace}/sa/{account}"


def tls(endpoint: Endpoint, service: Service, port: int, rules: InboundRules) -> TlsMode:
    """How those who can speak the mesh's TLS speak to this port of the endpoint: as the registry
    says, unless people have said that it takes plaintext only.

    That it takes nothing but TLS is no reason to begin with it: a namespace has endpoints beyond
    the mesh too, which no sidecar stands before.
    """
    said = rules.mode(service.namespace, endpoint, port) if rules else None
    return TlsMode.PLAIN if said is InboundTls.DISABLED else endpoint.tls


def behind(
    endpoints: Iterable[Endpoint],
    service: Service,
    port: Port,
    trust_domain: str,
    *,
    rules: InboundRules = NO_RULES,
) -> tuple[str, ...]:
    """The ids behind a port, sorted: those of its endpoints that are spoken to by the mesh's TLS,
    with those that the service states besides. None where no endpoint is."""
    found = {
        of(endpoint, service, trust_domain)
        for endpoint in endpoints
        if (number := endpoint.number(port)) is not None
        and not endpoint.tls_name
        and tls(endpoint, service, number, rules) is TlsMode.MUTUAL
    }
    return tuple(sorted(found.union(service.identities))) if found else ()
