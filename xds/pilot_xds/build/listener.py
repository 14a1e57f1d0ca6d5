"""Listeners (LDS)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pilot_core.plan.views import (
    ApiListenerView,
    Direction,
    ForwardListenerView,
    HttpListenerView,
)
from pilot_xds.build import http, routes, tls
from pilot_xds.protos import FilterChain, HttpConnectionManager, Listener, Router, TcpProxy, pack

HTTP_MANAGER = "envoy.filters.network.http_connection_manager"
TCP_PROXY = "envoy.filters.network.tcp_proxy"
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
    manager = by_routes(view.name, view.routes, view.direction)
    made = start(view.name, view.address, view.port, view.direction)
    add_filter(made.filter_chains.add(), HTTP_MANAGER, manager)
    return made.SerializeToString(deterministic=True)


def forwarding(view: ForwardListenerView) -> bytes:
    """Everything to one cluster."""
    made = start(view.name, view.address, view.port, view.direction)
    if view.takes_both:
        inspect(made, has_bytes=not view.http)
    for chain in chains(view):
        made.filter_chains.append(chain)
    return made.SerializeToString(deterministic=True)


def inspect(made: Any, *, has_bytes: bool) -> None:
    """Tell the mesh's callers from those in plaintext by the first bytes."""
    tls.inspect(made)
    if has_bytes:
        # A client that waits for the server to speak first says nothing to look at.
        made.listener_filters_timeout.seconds = _INSPECTION
    made.continue_on_listener_filters_timeout = True


def chains(view: ForwardListenerView) -> Iterator[Any]:
    """The filter chains for callers with a certificate, and for those without."""
    callers = view.callers
    if callers is not None:
        chain = FilterChain()
        chain.transport_socket.CopyFrom(tls.from_mesh(callers, http=view.http))
        _forward(chain, view, is_mutual=True)
        if callers.plaintext:
            # Not by the transport protocol as well: Envoy would look for other TLS among the chains
            # for TLS alone, and find none.
            chain.filter_chain_match.application_protocols.append(tls.MESH_PROTOCOL)
        yield chain
    if callers is None or callers.plaintext:
        chain = FilterChain()
        _forward(chain, view)
        yield chain


def _forward(chain: Any, view: ForwardListenerView, *, is_mutual: bool = False) -> None:
    prefix = view.name.replace(".", "_").replace(":", "_")
    if view.http:
        manager = http.manager(prefix, view.direction, is_mutual=is_mutual)
        manager.route_config.CopyFrom(routes.to_cluster(view.name, view.cluster))
        add_filter(chain, HTTP_MANAGER, manager)
        return
    proxy = bytes_to(prefix, view.cluster)
    if is_mutual:
        proxy.max_downstream_connection_duration.seconds = _LONGEST
        proxy.max_downstream_connection_duration_jitter_percentage.value = _JITTER
    add_filter(chain, TCP_PROXY, proxy)


def bytes_to(stat_prefix: str, cluster: str) -> Any:
    """Bytes to one cluster, whatever they are."""
    proxy = TcpProxy(stat_prefix=stat_prefix, cluster=cluster)
    proxy.max_connect_attempts.value = _CONNECT_ATTEMPTS
    return proxy


def by_routes(view_name: str, route_configuration: str, direction: Direction) -> Any:
    """HTTP by routes that come by RDS."""
    manager = http.manager(view_name.replace("-", "_"), direction)
    manager.rds.route_config_name = route_configuration
    manager.rds.config_source.ads.SetInParent()
    manager.rds.config_source.resource_api_version = _API_VERSION
    return manager


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


def start(name: str, address: str, port: int, direction: Direction) -> Listener:
    """A listener that does nothing yet."""
    made = Listener(name=name, traffic_direction=_DIRECTIONS[direction])
    made.address.socket_address.address = address
    made.address.socket_address.port_value = port
    if direction is Direction.GATEWAY:
        made.per_connection_buffer_limit_bytes.value = _EDGE_BUFFER
    return made


def add_filter(chain: Any, name: str, config: Any) -> None:
    """What a filter chain does."""
    added = chain.filters.add(name=name)
    added.typed_config.CopyFrom(pack(config))
