"""Listeners (LDS)."""

from __future__ import annotations

from pilot_core.plan.views import (
    ApiListenerView,
    Direction,
    ForwardListenerView,
    HttpListenerView,
)
from pilot_xds.build import http, routes
from pilot_xds.protos import HttpConnectionManager, Listener, Router, TcpProxy, pack

_HTTP_MANAGER = "envoy.filters.network.http_connection_manager"
_TCP_PROXY = "envoy.filters.network.tcp_proxy"
_DIRECTIONS = {Direction.INBOUND: 1, Direction.OUTBOUND: 2, Direction.GATEWAY: 2}
"""envoy.config.core.v3.TrafficDirection"""
_EDGE_BUFFER = 2**15
_CONNECT_ATTEMPTS = 3
"""An endpoint that has just gone costs no connection, as long as there is another one."""
_API_VERSION = 2
"""v3"""


def routed(view: HttpListenerView) -> bytes:
    """HTTP by the Host header, with routes that come by RDS."""
    manager = http.manager(view.name.replace("-", "_"), view.direction)
    manager.rds.route_config_name = view.routes
    manager.rds.config_source.ads.SetInParent()
    manager.rds.config_source.resource_api_version = _API_VERSION
    made = _listener(view.name, view.address, view.port, view.direction)
    _add_http(made, manager)
    return made.SerializeToString(deterministic=True)


def forwarding(view: ForwardListenerView) -> bytes:
    """Everything to one cluster."""
    made = _listener(view.name, view.address, view.port, view.direction)
    prefix = view.name.replace(".", "_").replace(":", "_")
    if view.http:
        manager = http.manager(prefix, view.direction)
        manager.route_config.CopyFrom(routes.to_cluster(view.name, view.cluster))
        _add_http(made, manager)
    else:
        proxy = TcpProxy(stat_prefix=prefix, cluster=view.cluster)
        proxy.max_connect_attempts.value = _CONNECT_ATTEMPTS
        added = made.filter_chains.add().filters.add()
        added.name = _TCP_PROXY
        added.typed_config.CopyFrom(pack(proxy))
    return made.SerializeToString(deterministic=True)


def api(view: ApiListenerView) -> bytes:
    """What a gRPC library asks for by its target: all requests to one cluster (gRFC A27)."""
    manager = HttpConnectionManager()
    router = manager.http_filters.add()
    router.name = "envoy.filters.http.router"
    router.typed_config.CopyFrom(pack(Router()))
    manager.route_config.CopyFrom(routes.to_cluster(view.name, view.cluster))
    made = Listener(name=view.name)
    made.api_listener.api_listener.CopyFrom(pack(manager))
    return made.SerializeToString(deterministic=True)


def _listener(name: str, address: str, port: int, direction: Direction) -> Listener:
    made = Listener(name=name, traffic_direction=_DIRECTIONS[direction])
    made.address.socket_address.address = address
    made.address.socket_address.port_value = port
    if direction is Direction.GATEWAY:
        made.per_connection_buffer_limit_bytes.value = _EDGE_BUFFER
    return made


def _add_http(made: Listener, manager: HttpConnectionManager) -> None:
    added = made.filter_chains.add().filters.add()
    added.name = _HTTP_MANAGER
    added.typed_config.CopyFrom(pack(manager))
