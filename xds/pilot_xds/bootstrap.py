"""The bootstrap of an Envoy: who it is, and where its configuration comes from.

A plain dictionary in protobuf's JSON form, so that printing one needs no protobuf at all.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from pilot_xds.proxy_options import ProxyOptions

XDS_CLUSTER = "xds-grpc"
AGENT_CLUSTER = "sds-grpc"
_HTTP2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_STATS = (
    "cluster_manager.",
    "control_plane.",
    "listener_manager.",
    "server.",
    "http.",
    "tcp.",
    "listener.",
    f"cluster.{XDS_CLUSTER}.",
    f"cluster.{AGENT_CLUSTER}.",
    "sds.",
)
_CLUSTER_STATS = (
    "membership_",
    "upstream_cx_active",
    "upstream_cx_connect_fail",
    "upstream_cx_total",
    "ssl.connection_error",
    "ssl.fail_verify",
    "ssl.handshake",
    "upstream_rq_active",
    "upstream_rq_completed",
    "upstream_rq_pending_overflow",
    "upstream_rq_retry",
    "upstream_rq_timeout",
    "upstream_rq_total",
    "upstream_rq_xx",
    "update_rejected",
)
_RECONNECT = {"retry_back_off": {"base_interval": "0.25s", "max_interval": "5s"}}
"""Jittered. Envoy's own maximum of 30 s is long for those who wait for a restarted server."""
_MAX_CONNECTIONS = 50_000
_MONITOR = "envoy.resource_monitors.global_downstream_max_connections"
_LIMITS = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
_TYPE = "type.googleapis.com/"


def bootstrap(options: ProxyOptions) -> dict[str, Any]:
    """The whole of it, in the form of envoy.config.bootstrap.v3.Bootstrap."""
    return {
        "node": node(options),
        # Whoever looks for the reason of too many connections gets in all the same.
        "admin": {"address": _socket(options.admin), "ignore_global_conn_limit": True},
        "dynamic_resources": _dynamic(options),
        "static_resources": {"clusters": _clusters(options)},
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": _stats()}}},
        # The statistics of clusters that carry no traffic are not there until they do.
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "overload_manager": {"resource_monitors": [_connection_limit()]},
        "layered_runtime": {"layers": [{"name": "admin", "admin_layer": {}}]},
    }


def _connection_limit() -> dict[str, Any]:
    limit = {"@type": _TYPE + _LIMITS, "max_active_downstream_connections": _MAX_CONNECTIONS}
    return {"name": _MONITOR, "typed_config": limit}


def node(options: ProxyOptions) -> dict[str, Any]:
    """The node that the control plane is shown."""
    place = options.locality
    said: dict[str, Any] = {
        "id": options.node_id,
        "cluster": f"{options.workload}.{options.namespace}",
        "metadata": options.metadata(),
    }
    if place.region:
        parts = {"region": place.region, "zone": place.zone, "sub_zone": place.subzone}
        said["locality"] = {key: value for key, value in parts.items() if value}
    return said


def _dynamic(options: ProxyOptions) -> dict[str, Any]:
    ads = {"ads": {}, "resource_api_version": "V3"}
    return {
        "ads_config": {
            "api_type": "GRPC" if options.is_sotw else "DELTA_GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [
                {"envoy_grpc": {"cluster_name": XDS_CLUSTER, "retry_policy": _RECONNECT}}
            ],
        },
        "cds_config": ads,
        "lds_config": ads,
    }


def _clusters(options: ProxyOptions) -> list[dict[str, Any]]:
    host = options.xds.rpartition(":")[0].strip("[]")
    discovery = "STATIC" if _is_ip(host) else "STRICT_DNS"
    made = [_grpc_cluster(XDS_CLUSTER, discovery, _socket(options.xds))]
    if options.control_plane:
        made[0]["transport_socket"] = _mutual(options.control_plane)
    if options.agent_socket:
        pipe = {"pipe": {"path": options.agent_socket}}
        made.append(_grpc_cluster(AGENT_CLUSTER, "STATIC", pipe))
    return made


def _grpc_cluster(name: str, discovery: str, address: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "type": discovery,
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {
            _HTTP2: {
                "@type": _TYPE + _HTTP2,
                "explicit_http_config": {
                    # A server that is gone without a word is noticed, and looked for anew.
                    "http2_protocol_options": {
                        "connection_keepalive": {"interval": "30s", "timeout": "10s"}
                    }
                },
            }
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _mutual(control_plane: str) -> dict[str, Any]:
    """TLS to the control plane: known by its SPIFFE id, whatever name it is reached by."""
    san = {"san_type": "URI", "matcher": {"exact": control_plane}}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": _TYPE + "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2"],
                # Said in so many words, because Envoy's own maximum for clients is 1.2.
                "tls_params": {
                    "tls_minimum_protocol_version": "TLSv1_2",
                    "tls_maximum_protocol_version": "TLSv1_3",
                },
                "tls_certificate_sds_secret_configs": [_secret("default")],
                "combined_validation_context": {
                    "default_validation_context": {"match_typed_subject_alt_names": [san]},
                    "validation_context_sds_secret_config": _secret("ROOTCA"),
                },
            },
        },
    }


def _secret(name: str) -> dict[str, Any]:
    agent = {"envoy_grpc": {"cluster_name": AGENT_CLUSTER}}
    return {
        "name": name,
        "sds_config": {
            "resource_api_version": "V3",
            "api_config_source": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [agent],
            },
        },
    }


def _socket(text: str) -> dict[str, Any]:
    host, _, port = text.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def _stats() -> list[dict[str, Any]]:
    """A cluster's full statistics are half of the memory that it takes in Envoy."""
    few = "|".join(_CLUSTER_STATS).replace(".", r"\.")
    return [
        *({"prefix": prefix} for prefix in _STATS),
        {"safe_regex": {"regex": rf"cluster\..*\.({few}).*"}},
    ]


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
