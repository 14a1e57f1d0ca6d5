"""Clusters (CDS)."""

from __future__ import annotations

from typing import Any

from pilot_core.plan.views import ClusterView, Discovery
from pilot_xds.build import tls
from pilot_xds.build.endpoints import assignment
from pilot_xds.protos import Cluster, HttpProtocolOptions

_STATIC, _STRICT_DNS, _EDS, _ORIGINAL_DST = 0, 1, 3, 4
_CLUSTER_PROVIDED = 6
_CONNECT_TIMEOUT = 5
"""Seconds; a retry on another endpoint comes sooner than most callers give up."""
_V4_PREFERRED = 3
_DNS_REFRESH = 5
_UNLIMITED = 2**21 - 1
"""Connections, requests and retries: the largest number that takes three bytes. Envoy's own limits
(1,024, and 3 retries at a time) would turn a mesh away under loads that it had carried unmeshed."""
_TLS_LASTS = 3000
"""Seconds. Who is at the other end is looked at when a connection begins and never again, so it has
to end within a certificate's life. Callers end it first: they know when nothing is under way."""
_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def build(view: ClusterView) -> bytes:
    made = Cluster(name=view.name)
    made.connect_timeout.seconds = _CONNECT_TIMEOUT
    # What the registry says of health and membership holds at once: no waiting to merge updates,
    # no endpoint kept because a check still likes it, no traffic to unhealthy ones in a panic.
    common = made.common_lb_config
    common.update_merge_window.SetInParent()
    common.healthy_panic_threshold.SetInParent()
    made.ignore_health_on_host_removal = True
    limits = made.circuit_breakers.thresholds.add()
    limits.max_connections.value = limits.max_pending_requests.value = _UNLIMITED
    limits.max_requests.value = limits.max_retries.value = _UNLIMITED
    _DISCOVERIES[view.discovery](made, view)
    if view.source:
        made.upstream_bind_config.source_address.address = view.source
        # Any port will do; Envoy wants one of them said.
        made.upstream_bind_config.source_address.port_value = 0
    if view.identities:
        socket = tls.to_mesh(view)
        tls.add_match(made, tls.MUTUAL, socket)
    for roots in view.roots:
        socket = tls.to_platform(roots, view.protocol)
        tls.add_match(made, tls.platform_mark(roots), socket)
    _http(made, view)
    return made.SerializeToString(deterministic=True)


def _http(made: Any, view: ClusterView) -> None:
    """What differs from Envoy's defaults in how HTTP is spoken."""
    options: Any = HttpProtocolOptions()
    if view.identities or view.roots:
        lasting = options.common_http_protocol_options.max_connection_duration
        lasting.seconds = _TLS_LASTS
        options.explicit_http_config.http_protocol_options.SetInParent()
    if view.http2:
        options.explicit_http_config.http2_protocol_options.SetInParent()
    if options.HasField("explicit_http_config"):
        made.typed_extension_protocol_options[_HTTP].Pack(options, deterministic=True)


def _eds(made: Any, view: ClusterView) -> None:
    made.type = _EDS
    made.eds_cluster_config.eds_config.ads.SetInParent()
    made.eds_cluster_config.eds_config.resource_api_version = 2


def _dns(made: Any, view: ClusterView) -> None:
    made.type = _STRICT_DNS
    # A host without IPv6 often has names with IPv6 addresses all the same.
    made.dns_lookup_family = _V4_PREFERRED
    made.dns_refresh_rate.seconds = _DNS_REFRESH
    made.respect_dns_ttl = True
    made.load_assignment.CopyFrom(assignment(view.name, view.localities))


def _static(made: Any, view: ClusterView) -> None:
    made.type = _STATIC
    made.load_assignment.CopyFrom(assignment(view.name, view.localities))


def _original_destination(made: Any, view: ClusterView) -> None:
    made.type = _ORIGINAL_DST
    made.lb_policy = _CLUSTER_PROVIDED


_DISCOVERIES = {
    Discovery.EDS: _eds,
    Discovery.DNS: _dns,
    Discovery.STATIC: _static,
    Discovery.ORIGINAL_DESTINATION: _original_destination,
}
