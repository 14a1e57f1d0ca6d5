"""The HTTP connection manager: how a listener treats what it takes for HTTP."""

from __future__ import annotations

from pilot_core.plan.views import Direction
from pilot_xds.protos import HttpConnectionManager, Router, pack

_SERVER_NAME = "pilot-core"
_APPEND_IF_ABSENT = 1
_REJECT_REQUEST = 1
_UNESCAPE_AND_REDIRECT = 3
_SANITIZE_SET = 3
_EDGE_STREAMS = 100
_EDGE_HEADERS = 10
"""Seconds in which a stranger has to have sent all headers."""
_HOUR = 3600


def manager(
    stat_prefix: str, direction: Direction, *, is_mutual: bool = False
) -> HttpConnectionManager:
    """Everything but the routes; `is_mutual` where all callers have shown a certificate."""
    made = HttpConnectionManager(stat_prefix=stat_prefix, server_name=_SERVER_NAME)
    filters = made.http_filters.add()
    filters.name = "envoy.filters.http.router"
    filters.typed_config.CopyFrom(pack(Router(suppress_envoy_headers=True)))
    made.upgrade_configs.add().upgrade_type = "websocket"
    # Idle streams are ended by whoever has opened them: a long poll is not a mistake.
    made.stream_idle_timeout.SetInParent()
    made.normalize_path.value = True
    made.server_header_transformation = _APPEND_IF_ABSENT
    if direction is Direction.GATEWAY:
        _at_the_edge(made)
    if is_mutual:
        _tell_who_calls(made)
    return made


def _tell_who_calls(made: HttpConnectionManager) -> None:
    """The application hears who calls from us alone. Without this, as on all other listeners, what
    a request says of that (`x-forwarded-client-cert`) is taken off, and nothing put in its place.
    """
    made.forward_client_cert_details = _SANITIZE_SET
    made.set_current_client_cert_details.subject.value = True
    made.set_current_client_cert_details.uri = True
    made.common_http_protocol_options.max_connection_duration.seconds = _HOUR
    made.http1_safe_max_connection_duration = True


def _at_the_edge(made: HttpConnectionManager) -> None:
    """Clients of a gateway are strangers: Envoy's advice for edge proxies."""
    made.use_remote_address.value = True
    made.merge_slashes = True
    made.path_with_escaped_slashes_action = _UNESCAPE_AND_REDIRECT
    made.server_header_transformation = 0
    made.request_headers_timeout.seconds = _EDGE_HEADERS
    made.common_http_protocol_options.idle_timeout.seconds = _HOUR
    made.common_http_protocol_options.headers_with_underscores_action = _REJECT_REQUEST
    made.http2_protocol_options.max_concurrent_streams.value = _EDGE_STREAMS
    made.http2_protocol_options.initial_stream_window_size.value = 2**16
    made.http2_protocol_options.initial_connection_window_size.value = 2**20
