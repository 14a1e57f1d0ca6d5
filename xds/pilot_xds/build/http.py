"""The HTTP connection manager: how a listener treats what it takes for HTTP."""

from __future__ import annotations

from pilot_core.plan.views import Direction
from pilot_xds.protos import HttpConnectionManager, Router, pack

_SERVER_NAME = "pilot-core"
_EDGE_STREAMS = 100
_HOUR = 3600


def manager(stat_prefix: str, direction: Direction) -> HttpConnectionManager:
    """Everything but the routes."""
    made = HttpConnectionManager(stat_prefix=stat_prefix, server_name=_SERVER_NAME)
    filters = made.http_filters.add()
    filters.name = "envoy.filters.http.router"
    filters.typed_config.CopyFrom(pack(Router(suppress_envoy_headers=True)))
    made.upgrade_configs.add().upgrade_type = "websocket"
    # Idle streams are ended by whoever has opened them: a long poll is not a mistake.
    made.stream_idle_timeout.SetInParent()
    made.normalize_path.value = True
    if direction is Direction.GATEWAY:
        _at_the_edge(made)
    return made


def _at_the_edge(made: HttpConnectionManager) -> None:
    """Clients of a gateway are strangers: Envoy's advice for edge proxies."""
    made.use_remote_address.value = True
    made.merge_slashes = True
    made.common_http_protocol_options.idle_timeout.seconds = _HOUR
    made.common_http_protocol_options.headers_with_underscores_action = 1
    made.http2_protocol_options.max_concurrent_streams.value = _EDGE_STREAMS
    made.http2_protocol_options.initial_stream_window_size.value = 2**16
    made.http2_protocol_options.initial_connection_window_size.value = 2**20
