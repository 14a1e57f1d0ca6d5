"""Listeners (LDS)."""

from __future__ import annotations

from typing import Any

from pilot_core.plan.views import (
    ApiListenerView,
    Direction,
    ForwardListenerView,
    HttpListenerView,
)
from pilot_xds.build import http, routes, tls
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
_INSPECTION = 1
"""Seconds that a listener which takes plaintext too waits for the first bytes of a connection that
may be one on which the server speaks first. HTTP has Envoy's own patience of 15 s: who is slow with
his hello must not be taken for somebody in plaintext."""
_LONGEST = 36000
_JITTER = 10
"""Seconds that bytes may flow over one connection with mutual TLS, and the per cent of that by
which connections differ. There is no moment at which they end well, so they last as long as can be:
a certificate of a day has half of it left when it is replaced."""


def routed(view: HttpListenerView) -> bytes:
    """HTTP by the Host header, with routes that come by RDS."""
    manager = http.manager(view.name.replace("-", "_"), view.direction)
    manager.rds.route_config_name = view.routes
    manager.rds.config_source.ads.SetInParent()
    manager.rds.config_source.resource_api_version = _API_VERSION
    made = _listener(view.name, view.address, view.port, view.direction)
    _add_filter(made.filter_chains.add(), _HTTP_MANAGER, manager)
    return made.SerializeToString(deterministic=True)


def forwarding(view: ForwardListenerView) -> bytes:
    """Everything to one cluster."""
    made = _listener(view.name, view.address, view.port, view.direction)
    callers = view.callers
    if callers is not None:
        chain = made.filter_chains.add()
        chain.transport_socket.CopyFrom(tls.from_mesh(callers, http=view.http))
        _forward(chain, view, is_mutual=True)
        if callers.plaintext:
            tls.inspect(made)
            if not view.http:
                # A client that waits for the server to speak first says nothing to look at.
                made.listener_filters_timeout.seconds = _INSPECTION
            made.continue_on_listener_filters_timeout = True
            # Not by the transport protocol as well: Envoy would look for other TLS among the chains
            # for TLS alone, and find none.
            chain.filter_chain_match.application_protocols.append(tls.MESH_PROTOCOL)
    if callers is None or callers.plaintext:
        _forward(made.filter_chains.add(), view)
    return made.SerializeToString(deterministic=True)


def _forward(chain: Any, view: ForwardListenerView, *, is_mutual: bool = False) -> None:
    prefix = view.name.replace(".", "_").replace(":", "_")
    if view.http:
        manager = http.manager(prefix, view.direction, is_mutual=is_mutual)
        manager.route_config.CopyFrom(routes.to_cluster(view.name, view.cluster))
        _add_filter(chain, _HTTP_MANAGER, manager)
        return
    proxy = TcpProxy(stat_prefix=prefix, cluster=view.cluster)
    proxy.max_connect_attempts.value = _CONNECT_ATTEMPTS
    if is_mutual:
        proxy.max_downstream_connection_duration.seconds = _LONGEST
        proxy.max_downstream_connection_duration_jitter_percentage.value = _JITTER
    _add_filter(chain, _TCP_PROXY, proxy)


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


def _add_filter(chain: Any, name: str, config: Any) -> None:
    added = chain.filters.add(name=name)
    added.typed_config.CopyFrom(pack(config))
