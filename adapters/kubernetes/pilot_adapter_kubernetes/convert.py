"""Services and slices to records: pure, one function per question.

Rule 1: the platform's word on readiness is taken as its documentation defines it: `ready` unsaid
is true, `serving` unsaid is as ready, `terminating` unsaid is false.
Rule 2: endpoints and services find each other's ports by name; a port without one is known by its
number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pilot_adapter_kubernetes import facts, wire
from pilot_core.model import (
    NO_LOCALITY,
    Endpoint,
    Endpoints,
    Health,
    Locality,
    Port,
    Protocol,
    Record,
    Resolution,
    Service,
    TlsMode,
    from_port_name,
)
from pilot_core.model.service import EVERYWHERE

EXPORT_TO = "networking.istio.io/exportTo"
IDENTITIES = "alpha.istio.io/canonical-serviceaccounts"
ACCOUNTS = "alpha.istio.io/kubernetes-serviceaccounts"
TLS_MODE, LOCALITY = "security.istio.io/tlsMode", "istio-locality"
HEADLESS = "None"
_APP_PROTOCOLS = {
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.HTTPS,
    "grpc-web": Protocol.GRPC_WEB,
    **{protocol.value: protocol for protocol in Protocol},
}
_CARRIED = ("TCP", "UDP")
_SPIFFE = "spiffe://"


def hostname(key: str, domain: str) -> str:
    """`namespace/name` to the name that callers use."""
    namespace, _, name = key.partition("/")
    return f"{name}.{namespace}.svc.{domain}"


def is_external(spec: wire.ServiceSpec) -> bool:
    return spec.type == "ExternalName"


def service(fact: facts.Service, domain: str) -> Service:
    spec = fact.spec
    return Service(
        hostname=hostname(fact.key, domain),
        namespace=fact.key.partition("/")[0],
        ports=tuple(_ports(spec)),
        resolution=_resolution(spec),
        visibility=_visibility(_listed(fact, EXPORT_TO)),
        addresses=tuple(a for a in spec.cluster_ips or [spec.cluster_ip or ""] if _is_address(a)),
        identities=tuple(i for i in _listed(fact, IDENTITIES) if i.startswith(_SPIFFE)),
        labels=fact.labels,
    )


def _is_address(text: str) -> bool:
    return text not in ("", HEADLESS)


def _resolution(spec: wire.ServiceSpec) -> Resolution:
    # A headless service is balanced over its endpoints as well: where nothing intercepts traffic
    # there is no address that the caller had chosen, and nowhere else for the request to go.
    return Resolution.DNS if is_external(spec) else Resolution.STATIC


def _listed(fact: facts.Service, annotation: str) -> tuple[str, ...]:
    """What stands in an annotation, between commas."""
    found = dict(fact.annotations).get(annotation, "")
    return tuple(part.strip() for part in found.split(",") if part.strip())


def _visibility(said: tuple[str, ...]) -> tuple[str, ...]:
    if not said:
        return (EVERYWHERE,)
    return tuple(part for part in said if part != "~")


def _ports(spec: wire.ServiceSpec) -> Iterator[Port]:
    for port in spec.ports or ():
        if (port.protocol or "TCP") in _CARRIED:
            yield Port(port_name(port), port.port, _protocol(port))


def port_name(port: wire.ServicePort) -> str:
    return port.name or str(port.port)


def _protocol(port: wire.ServicePort) -> Protocol:
    if port.protocol == "UDP":
        return Protocol.UDP
    stated = _APP_PROTOCOLS.get((port.app_protocol or "").lower())
    # UDP is a transport here: as an application's protocol it would contradict the port.
    if stated is not None and stated is not Protocol.UDP:
        return stated
    named = from_port_name(port.name or "")
    return Protocol.TCP if named is Protocol.UDP else named


def unhonoured(fact: facts.Service) -> Iterator[str]:
    """What the service asks for and does not get, for people."""
    if fact.spec.internal_traffic_policy == "Local":
        yield "internalTrafficPolicy Local is not honoured: callers reach endpoints on any node"
    if fact.spec.traffic_distribution == "PreferSameNode":
        yield "trafficDistribution PreferSameNode is honoured as far as the subzone, not the node"
    for port in fact.spec.ports or ():
        if (port.protocol or "TCP") not in _CARRIED:
            yield f"port {port_name(port)} is {port.protocol}, which proxies do not carry"
    if _listed(fact, ACCOUNTS):
        yield f"annotation {ACCOUNTS} is not read: list whole SPIFFE ids in {IDENTITIES}"
    for said in _listed(fact, IDENTITIES):
        if not said.startswith(_SPIFFE):
            yield f"annotation {IDENTITIES}: {said} is no SPIFFE id"


def external(fact: facts.Service, domain: str) -> tuple[Record, ...]:
    """An ExternalName service: proxies resolve the name by themselves."""
    made = service(fact, domain)
    name = (fact.spec.external_name or "").lower().removesuffix(".")
    if not name:
        return (made,)
    return made, Endpoints(hostname=made.hostname, endpoints=(Endpoint(addresses=(name,)),))


def health(conditions: wire.Conditions) -> Health:
    ready = conditions.ready is not False
    if ready:
        return Health.HEALTHY
    serving = conditions.serving is True
    return Health.DRAINING if serving and conditions.terminating else Health.UNHEALTHY


def ports_by_slice_name(spec: wire.ServiceSpec) -> dict[str, tuple[str, int]]:
    """How slices call a service's ports: to the name in the model, and the service's number."""
    return {
        port.name or "": (port_name(port), port.port)
        for port in spec.ports or ()
        if (port.protocol or "TCP") in _CARRIED
    }


def numbers(
    ports: tuple[wire.SlicePort, ...], known: Mapping[str, tuple[str, int]]
) -> dict[str, int]:
    """Where the endpoints of a slice serve the service's ports; those of no name of its are not
    the service's. A port without a number is the service's own."""
    found = {}
    for port in ports:
        if (port.name or "") in known:
            name, own = known[port.name or ""]
            found[name] = port.port or own
    return found


def endpoint(
    addresses: tuple[str, ...],
    ports: Mapping[str, int],
    entry: facts.SliceEndpoint,
    pod: facts.Pod | None,
    node: facts.Node | None,
) -> Endpoint:
    """One endpoint; without a pod it has neither labels nor an identity."""
    place = node.locality if node else NO_LOCALITY
    common = {
        "addresses": addresses,
        "ports": tuple(sorted(ports.items())),
        "health": health(entry.conditions),
        "network": node.network if node else "",
    }
    if pod is None:
        return Endpoint(**common, locality=place)  # type: ignore[arg-type]
        # mypy: the values of `common` have different types.
    stated = pod.label(LOCALITY).replace(".", "/")
    return Endpoint(
        **common | {"network": pod.label(facts.NETWORK) or common["network"]},  # type: ignore[arg-type]
        locality=Locality.parse(stated) if stated else place,
        labels=pod.labels,
        workload=pod.workload,
        service_account=pod.account,
        tls=TlsMode.MUTUAL if pod.label(TLS_MODE) == "istio" else TlsMode.PLAIN,
    )
