"""Load assignments (EDS)."""

from __future__ import annotations

from typing import Any

from pilot_core.model import Health, TlsMode
from pilot_core.model.endpoint import UNIX
from pilot_core.plan.views import EndpointsView, EndpointView, LocalityView
from pilot_xds.build import tls
from pilot_xds.protos import ClusterLoadAssignment

_HEALTH = {
    Health.HEALTHY: 1,
    Health.UNHEALTHY: 2,
    Health.DRAINING: 3,
    Health.DEGRADED: 5,
}
"""envoy.config.core.v3.HealthStatus"""


def build(view: EndpointsView) -> bytes:
    return assignment(view.name, view.localities).SerializeToString(deterministic=True)


def assignment(name: str, localities: tuple[LocalityView, ...]) -> ClusterLoadAssignment:
    """The message, for EDS or inside a cluster."""
    made = ClusterLoadAssignment(cluster_name=name)
    # Envoy refuses the whole of it where the weights of one priority add up to 2^32 or more.
    total = sum(endpoint.weight for locality in localities for endpoint in locality.endpoints)
    scale = -(-total // _WEIGHT_LIMIT) or 1
    for locality in localities:
        _add_locality(made.endpoints.add(), locality, scale)
    return made


_WEIGHT_LIMIT = 2**32 - 1 - 2**20
"""Room for what rounding up adds, with a million endpoints."""


def _add_locality(made: Any, view: LocalityView, scale: int) -> None:
    place = view.locality
    # gRPC libraries refuse endpoints whose place is not said, and take an empty one.
    made.locality.SetInParent()
    if place.region:
        made.locality.region, made.locality.zone = place.region, place.zone
        made.locality.sub_zone = place.subzone
    if view.priority:
        made.priority = view.priority
    # Envoy goes by the endpoints; gRPC libraries ignore a locality that has no weight of its own.
    weights = [max(1, endpoint.weight // scale) for endpoint in view.endpoints]
    made.load_balancing_weight.value = sum(weights)
    for endpoint, weight in zip(view.endpoints, weights, strict=True):
        _add_endpoint(made.lb_endpoints.add(), endpoint, weight)


def _add_endpoint(made: Any, view: EndpointView, weight: int) -> None:
    _set_address(made.endpoint.address, view.addresses[0], view.port)
    for other in view.addresses[1:]:
        _set_address(made.endpoint.additional_addresses.add().address, other, view.port)
    if view.health is not Health.HEALTHY:
        made.health_status = _HEALTH[view.health]
    if weight != 1:
        made.load_balancing_weight.value = weight
    if view.tls_name:
        made.endpoint.hostname = view.tls_name
        tls.mark(made.metadata, tls.platform_mark(view.tls_roots))
    elif view.tls is TlsMode.MUTUAL:
        tls.mark(made.metadata, tls.MUTUAL)


def _set_address(made: Any, address: str, port: int) -> None:
    if address.startswith(UNIX):
        made.pipe.path = address.removeprefix(UNIX)
        return
    made.socket_address.address = address
    made.socket_address.port_value = port
