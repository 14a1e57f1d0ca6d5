"""Made by tools/build_descriptors.py from envoy_api.bin."""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

SNAPSHOT: str
POOL: DescriptorPool
NAMES: Mapping[str, str]
def message(full_name: str) -> type[Message]: ...
def pack(packed: Message) -> AnyMessage: ...

class AdsDummy(Message): ...

class AnyMessage(Message):
    type_url: str
    value: bytes
    def __init__(
        self, *,
        type_url: str | None = ...,
        value: bytes | None = ...,
    ) -> None: ...

class ApiListener(Message):
    api_listener: Any
    def __init__(
        self, *,
        api_listener: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class Bootstrap(Message):
    node: Any
    node_context_params: Any
    static_resources: Any
    dynamic_resources: Any
    cluster_manager: Any
    hds_config: Any
    flags_path: str
    stats_sinks: Any
    deferred_stat_options: Any
    stats_config: Any
    stats_flush_interval: Any
    stats_flush_on_admin: bool
    stats_eviction_interval: Any
    watchdog: Any
    watchdogs: Any
    tracing: Any
    layered_runtime: Any
    admin: Any
    overload_manager: Any
    enable_dispatcher_stats: bool
    header_prefix: str
    stats_server_version_override: Any
    use_tcp_for_dns_lookups: bool
    dns_resolution_config: Any
    typed_dns_resolver_config: Any
    bootstrap_extensions: Any
    fatal_actions: Any
    config_sources: Any
    default_config_source: Any
    default_socket_interface: str
    certificate_provider_instances: Any
    inline_headers: Any
    perf_tracing_file_path: str
    default_regex_engine: Any
    xds_delegate_extension: Any
    xds_config_tracker_extension: Any
    listener_manager: Any
    application_log_config: Any
    grpc_async_client_manager_config: Any
    memory_allocator_manager: Any
    def __init__(
        self, *,
        node: Message | Mapping[str, Any] | None = ...,
        node_context_params: Iterable[str] | None = ...,
        static_resources: Message | Mapping[str, Any] | None = ...,
        dynamic_resources: Message | Mapping[str, Any] | None = ...,
        cluster_manager: Message | Mapping[str, Any] | None = ...,
        hds_config: Message | Mapping[str, Any] | None = ...,
        flags_path: str | None = ...,
        stats_sinks: Iterable[Message | Mapping[str, Any]] | None = ...,
        deferred_stat_options: Message | Mapping[str, Any] | None = ...,
        stats_config: Message | Mapping[str, Any] | None = ...,
        stats_flush_interval: Message | Mapping[str, Any] | None = ...,
        stats_flush_on_admin: bool | None = ...,
        stats_eviction_interval: Message | Mapping[str, Any] | None = ...,
        watchdog: Message | Mapping[str, Any] | None = ...,
        watchdogs: Message | Mapping[str, Any] | None = ...,
        tracing: Message | Mapping[str, Any] | None = ...,
        layered_runtime: Message | Mapping[str, Any] | None = ...,
        admin: Message | Mapping[str, Any] | None = ...,
        overload_manager: Message | Mapping[str, Any] | None = ...,
        enable_dispatcher_stats: bool | None = ...,
        header_prefix: str | None = ...,
        stats_server_version_override: Message | Mapping[str, Any] | None = ...,
        use_tcp_for_dns_lookups: bool | None = ...,
        dns_resolution_config: Message | Mapping[str, Any] | None = ...,
        typed_dns_resolver_config: Message | Mapping[str, Any] | None = ...,
        bootstrap_extensions: Iterable[Message | Mapping[str, Any]] | None = ...,
        fatal_actions: Iterable[Message | Mapping[str, Any]] | None = ...,
        config_sources: Iterable[Message | Mapping[str, Any]] | None = ...,
        default_config_source: Message | Mapping[str, Any] | None = ...,
        default_socket_interface: str | None = ...,
        certificate_provider_instances: Mapping[Any, Any] | None = ...,
        inline_headers: Iterable[Message | Mapping[str, Any]] | None = ...,
        perf_tracing_file_path: str | None = ...,
        default_regex_engine: Message | Mapping[str, Any] | None = ...,
        xds_delegate_extension: Message | Mapping[str, Any] | None = ...,
        xds_config_tracker_extension: Message | Mapping[str, Any] | None = ...,
        listener_manager: Message | Mapping[str, Any] | None = ...,
        application_log_config: Message | Mapping[str, Any] | None = ...,
        grpc_async_client_manager_config: Message | Mapping[str, Any] | None = ...,
        memory_allocator_manager: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class ClientConfig(Message):
    node: Any
    xds_config: Any
    generic_xds_configs: Any
    client_scope: str
    def __init__(
        self, *,
        node: Message | Mapping[str, Any] | None = ...,
        xds_config: Iterable[Message | Mapping[str, Any]] | None = ...,
        generic_xds_configs: Iterable[Message | Mapping[str, Any]] | None = ...,
        client_scope: str | None = ...,
    ) -> None: ...

class ClientStatusRequest(Message):
    node_matchers: Any
    node: Any
    exclude_resource_contents: bool
    def __init__(
        self, *,
        node_matchers: Iterable[Message | Mapping[str, Any]] | None = ...,
        node: Message | Mapping[str, Any] | None = ...,
        exclude_resource_contents: bool | None = ...,
    ) -> None: ...

class ClientStatusResponse(Message):
    config: Any
    def __init__(
        self, *,
        config: Iterable[Message | Mapping[str, Any]] | None = ...,
    ) -> None: ...

class Cluster(Message):
    transport_socket_matches: Any
    transport_socket_matcher: Any
    name: str
    alt_stat_name: str
    type: int | str
    cluster_type: Any
    eds_cluster_config: Any
    connect_timeout: Any
    per_connection_buffer_limit_bytes: Any
    lb_policy: int | str
    load_assignment: Any
    health_checks: Any
    max_requests_per_connection: Any
    circuit_breakers: Any
    upstream_http_protocol_options: Any
    common_http_protocol_options: Any
    http_protocol_options: Any
    http2_protocol_options: Any
    typed_extension_protocol_options: Any
    dns_refresh_rate: Any
    dns_jitter: Any
    dns_failure_refresh_rate: Any
    respect_dns_ttl: bool
    dns_lookup_family: int | str
    dns_resolvers: Any
    use_tcp_for_dns_lookups: bool
    dns_resolution_config: Any
    typed_dns_resolver_config: Any
    wait_for_warm_on_init: Any
    outlier_detection: Any
    cleanup_interval: Any
    upstream_bind_config: Any
    lb_subset_config: Any
    ring_hash_lb_config: Any
    maglev_lb_config: Any
    original_dst_lb_config: Any
    least_request_lb_config: Any
    round_robin_lb_config: Any
    common_lb_config: Any
    transport_socket: Any
    metadata: Any
    protocol_selection: int | str
    upstream_connection_options: Any
    close_connections_on_host_health_failure: bool
    ignore_health_on_host_removal: bool
    filters: Any
    load_balancing_policy: Any
    lrs_server: Any
    lrs_report_endpoint_metrics: Any
    track_timeout_budgets: bool
    upstream_config: Any
    track_cluster_stats: Any
    preconnect_policy: Any
    connection_pool_per_downstream_connection: bool
    def __init__(
        self, *,
        transport_socket_matches: Iterable[Message | Mapping[str, Any]] | None = ...,
        transport_socket_matcher: Message | Mapping[str, Any] | None = ...,
        name: str | None = ...,
        alt_stat_name: str | None = ...,
        type: int | str | None = ...,
        cluster_type: Message | Mapping[str, Any] | None = ...,
        eds_cluster_config: Message | Mapping[str, Any] | None = ...,
        connect_timeout: Message | Mapping[str, Any] | None = ...,
        per_connection_buffer_limit_bytes: Message | Mapping[str, Any] | None = ...,
        lb_policy: int | str | None = ...,
        load_assignment: Message | Mapping[str, Any] | None = ...,
        health_checks: Iterable[Message | Mapping[str, Any]] | None = ...,
        max_requests_per_connection: Message | Mapping[str, Any] | None = ...,
        circuit_breakers: Message | Mapping[str, Any] | None = ...,
        upstream_http_protocol_options: Message | Mapping[str, Any] | None = ...,
        common_http_protocol_options: Message | Mapping[str, Any] | None = ...,
        http_protocol_options: Message | Mapping[str, Any] | None = ...,
        http2_protocol_options: Message | Mapping[str, Any] | None = ...,
        typed_extension_protocol_options: Mapping[Any, Any] | None = ...,
        dns_refresh_rate: Message | Mapping[str, Any] | None = ...,
        dns_jitter: Message | Mapping[str, Any] | None = ...,
        dns_failure_refresh_rate: Message | Mapping[str, Any] | None = ...,
        respect_dns_ttl: bool | None = ...,
        dns_lookup_family: int | str | None = ...,
        dns_resolvers: Iterable[Message | Mapping[str, Any]] | None = ...,
        use_tcp_for_dns_lookups: bool | None = ...,
        dns_resolution_config: Message | Mapping[str, Any] | None = ...,
        typed_dns_resolver_config: Message | Mapping[str, Any] | None = ...,
        wait_for_warm_on_init: Message | Mapping[str, Any] | None = ...,
        outlier_detection: Message | Mapping[str, Any] | None = ...,
        cleanup_interval: Message | Mapping[str, Any] | None = ...,
        upstream_bind_config: Message | Mapping[str, Any] | None = ...,
        lb_subset_config: Message | Mapping[str, Any] | None = ...,
        ring_hash_lb_config: Message | Mapping[str, Any] | None = ...,
        maglev_lb_config: Message | Mapping[str, Any] | None = ...,
        original_dst_lb_config: Message | Mapping[str, Any] | None = ...,
        least_request_lb_config: Message | Mapping[str, Any] | None = ...,
        round_robin_lb_config: Message | Mapping[str, Any] | None = ...,
        common_lb_config: Message | Mapping[str, Any] | None = ...,
        transport_socket: Message | Mapping[str, Any] | None = ...,
        metadata: Message | Mapping[str, Any] | None = ...,
        protocol_selection: int | str | None = ...,
        upstream_connection_options: Message | Mapping[str, Any] | None = ...,
        close_connections_on_host_health_failure: bool | None = ...,
        ignore_health_on_host_removal: bool | None = ...,
        filters: Iterable[Message | Mapping[str, Any]] | None = ...,
        load_balancing_policy: Message | Mapping[str, Any] | None = ...,
        lrs_server: Message | Mapping[str, Any] | None = ...,
        lrs_report_endpoint_metrics: Iterable[str] | None = ...,
        track_timeout_budgets: bool | None = ...,
        upstream_config: Message | Mapping[str, Any] | None = ...,
        track_cluster_stats: Message | Mapping[str, Any] | None = ...,
        preconnect_policy: Message | Mapping[str, Any] | None = ...,
        connection_pool_per_downstream_connection: bool | None = ...,
    ) -> None: ...

class ClusterLoadAssignment(Message):
    cluster_name: str
    endpoints: Any
    named_endpoints: Any
    policy: Any
    def __init__(
        self, *,
        cluster_name: str | None = ...,
        endpoints: Iterable[Message | Mapping[str, Any]] | None = ...,
        named_endpoints: Mapping[Any, Any] | None = ...,
        policy: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class CommonTlsContext(Message):
    tls_params: Any
    tls_certificates: Any
    tls_certificate_sds_secret_configs: Any
    tls_certificate_provider_instance: Any
    custom_tls_certificate_selector: Any
    tls_certificate_certificate_provider: Any
    tls_certificate_certificate_provider_instance: Any
    validation_context: Any
    validation_context_sds_secret_config: Any
    combined_validation_context: Any
    validation_context_certificate_provider: Any
    validation_context_certificate_provider_instance: Any
    alpn_protocols: Any
    custom_handshaker: Any
    key_log: Any
    def __init__(
        self, *,
        tls_params: Message | Mapping[str, Any] | None = ...,
        tls_certificates: Iterable[Message | Mapping[str, Any]] | None = ...,
        tls_certificate_sds_secret_configs: Iterable[Message | Mapping[str, Any]] | None = ...,
        tls_certificate_provider_instance: Message | Mapping[str, Any] | None = ...,
        custom_tls_certificate_selector: Message | Mapping[str, Any] | None = ...,
        tls_certificate_certificate_provider: Message | Mapping[str, Any] | None = ...,
        tls_certificate_certificate_provider_instance: Message | Mapping[str, Any] | None = ...,
        validation_context: Message | Mapping[str, Any] | None = ...,
        validation_context_sds_secret_config: Message | Mapping[str, Any] | None = ...,
        combined_validation_context: Message | Mapping[str, Any] | None = ...,
        validation_context_certificate_provider: Message | Mapping[str, Any] | None = ...,
        validation_context_certificate_provider_instance: Message | Mapping[str, Any] | None = ...,
        alpn_protocols: Iterable[str] | None = ...,
        custom_handshaker: Message | Mapping[str, Any] | None = ...,
        key_log: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class DeltaDiscoveryRequest(Message):
    node: Any
    type_url: str
    resource_names_subscribe: Any
    resource_names_unsubscribe: Any
    resource_locators_subscribe: Any
    resource_locators_unsubscribe: Any
    initial_resource_versions: Any
    response_nonce: str
    error_detail: Any
    def __init__(
        self, *,
        node: Message | Mapping[str, Any] | None = ...,
        type_url: str | None = ...,
        resource_names_subscribe: Iterable[str] | None = ...,
        resource_names_unsubscribe: Iterable[str] | None = ...,
        resource_locators_subscribe: Iterable[Message | Mapping[str, Any]] | None = ...,
        resource_locators_unsubscribe: Iterable[Message | Mapping[str, Any]] | None = ...,
        initial_resource_versions: Mapping[Any, Any] | None = ...,
        response_nonce: str | None = ...,
        error_detail: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class DeltaDiscoveryResponse(Message):
    system_version_info: str
    resources: Any
    type_url: str
    removed_resources: Any
    removed_resource_names: Any
    nonce: str
    control_plane: Any
    resource_errors: Any
    def __init__(
        self, *,
        system_version_info: str | None = ...,
        resources: Iterable[Message | Mapping[str, Any]] | None = ...,
        type_url: str | None = ...,
        removed_resources: Iterable[str] | None = ...,
        removed_resource_names: Iterable[Message | Mapping[str, Any]] | None = ...,
        nonce: str | None = ...,
        control_plane: Message | Mapping[str, Any] | None = ...,
        resource_errors: Iterable[Message | Mapping[str, Any]] | None = ...,
    ) -> None: ...

class DiscoveryRequest(Message):
    version_info: str
    node: Any
    resource_names: Any
    resource_locators: Any
    type_url: str
    response_nonce: str
    error_detail: Any
    def __init__(
        self, *,
        version_info: str | None = ...,
        node: Message | Mapping[str, Any] | None = ...,
        resource_names: Iterable[str] | None = ...,
        resource_locators: Iterable[Message | Mapping[str, Any]] | None = ...,
        type_url: str | None = ...,
        response_nonce: str | None = ...,
        error_detail: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class DiscoveryResponse(Message):
    version_info: str
    resources: Any
    canary: bool
    type_url: str
    nonce: str
    control_plane: Any
    resource_errors: Any
    def __init__(
        self, *,
        version_info: str | None = ...,
        resources: Iterable[Message | Mapping[str, Any]] | None = ...,
        canary: bool | None = ...,
        type_url: str | None = ...,
        nonce: str | None = ...,
        control_plane: Message | Mapping[str, Any] | None = ...,
        resource_errors: Iterable[Message | Mapping[str, Any]] | None = ...,
    ) -> None: ...

class DownstreamTlsContext(Message):
    common_tls_context: Any
    require_client_certificate: Any
    require_sni: Any
    session_ticket_keys: Any
    session_ticket_keys_sds_secret_config: Any
    disable_stateless_session_resumption: bool
    disable_stateful_session_resumption: bool
    session_timeout: Any
    ocsp_staple_policy: int | str
    full_scan_certs_on_sni_mismatch: Any
    prefer_client_ciphers: bool
    def __init__(
        self, *,
        common_tls_context: Message | Mapping[str, Any] | None = ...,
        require_client_certificate: Message | Mapping[str, Any] | None = ...,
        require_sni: Message | Mapping[str, Any] | None = ...,
        session_ticket_keys: Message | Mapping[str, Any] | None = ...,
        session_ticket_keys_sds_secret_config: Message | Mapping[str, Any] | None = ...,
        disable_stateless_session_resumption: bool | None = ...,
        disable_stateful_session_resumption: bool | None = ...,
        session_timeout: Message | Mapping[str, Any] | None = ...,
        ocsp_staple_policy: int | str | None = ...,
        full_scan_certs_on_sni_mismatch: Message | Mapping[str, Any] | None = ...,
        prefer_client_ciphers: bool | None = ...,
    ) -> None: ...

class FilterChain(Message):
    filter_chain_match: Any
    filters: Any
    use_proxy_proto: Any
    metadata: Any
    transport_socket: Any
    transport_socket_connect_timeout: Any
    name: str
    def __init__(
        self, *,
        filter_chain_match: Message | Mapping[str, Any] | None = ...,
        filters: Iterable[Message | Mapping[str, Any]] | None = ...,
        use_proxy_proto: Message | Mapping[str, Any] | None = ...,
        metadata: Message | Mapping[str, Any] | None = ...,
        transport_socket: Message | Mapping[str, Any] | None = ...,
        transport_socket_connect_timeout: Message | Mapping[str, Any] | None = ...,
        name: str | None = ...,
    ) -> None: ...

class HttpConnectionManager(Message):
    codec_type: int | str
    stat_prefix: str
    rds: Any
    route_config: Any
    scoped_routes: Any
    http_filters: Any
    add_user_agent: Any
    tracing: Any
    common_http_protocol_options: Any
    http1_safe_max_connection_duration: bool
    http_protocol_options: Any
    http2_protocol_options: Any
    http3_protocol_options: Any
    server_name: str
    server_header_transformation: int | str
    scheme_header_transformation: Any
    max_request_headers_kb: Any
    stream_idle_timeout: Any
    stream_flush_timeout: Any
    request_timeout: Any
    request_headers_timeout: Any
    drain_timeout: Any
    delayed_close_timeout: Any
    access_log: Any
    access_log_flush_interval: Any
    flush_access_log_on_new_request: bool
    access_log_options: Any
    use_remote_address: Any
    xff_num_trusted_hops: int
    original_ip_detection_extensions: Any
    early_header_mutation_extensions: Any
    internal_address_config: Any
    skip_xff_append: bool
    via: str
    generate_request_id: Any
    preserve_external_request_id: bool
    always_set_request_id_in_response: bool
    forward_client_cert_details: int | str
    set_current_client_cert_details: Any
    forward_client_cert_matcher: Any
    proxy_100_continue: bool
    represent_ipv4_remote_address_as_ipv4_mapped_ipv6: bool
    upgrade_configs: Any
    normalize_path: Any
    merge_slashes: bool
    path_with_escaped_slashes_action: int | str
    request_id_extension: Any
    local_reply_config: Any
    strip_matching_host_port: bool
    strip_any_host_port: bool
    stream_error_on_invalid_http_message: Any
    path_normalization_options: Any
    strip_trailing_host_dot: bool
    proxy_status_config: Any
    typed_header_validation_config: Any
    append_x_forwarded_port: bool
    append_local_overload: bool
    add_proxy_protocol_connection_state: Any
    def __init__(
        self, *,
        codec_type: int | str | None = ...,
        stat_prefix: str | None = ...,
        rds: Message | Mapping[str, Any] | None = ...,
        route_config: Message | Mapping[str, Any] | None = ...,
        scoped_routes: Message | Mapping[str, Any] | None = ...,
        http_filters: Iterable[Message | Mapping[str, Any]] | None = ...,
        add_user_agent: Message | Mapping[str, Any] | None = ...,
        tracing: Message | Mapping[str, Any] | None = ...,
        common_http_protocol_options: Message | Mapping[str, Any] | None = ...,
        http1_safe_max_connection_duration: bool | None = ...,
        http_protocol_options: Message | Mapping[str, Any] | None = ...,
        http2_protocol_options: Message | Mapping[str, Any] | None = ...,
        http3_protocol_options: Message | Mapping[str, Any] | None = ...,
        server_name: str | None = ...,
        server_header_transformation: int | str | None = ...,
        scheme_header_transformation: Message | Mapping[str, Any] | None = ...,
        max_request_headers_kb: Message | Mapping[str, Any] | None = ...,
        stream_idle_timeout: Message | Mapping[str, Any] | None = ...,
        stream_flush_timeout: Message | Mapping[str, Any] | None = ...,
        request_timeout: Message | Mapping[str, Any] | None = ...,
        request_headers_timeout: Message | Mapping[str, Any] | None = ...,
        drain_timeout: Message | Mapping[str, Any] | None = ...,
        delayed_close_timeout: Message | Mapping[str, Any] | None = ...,
        access_log: Iterable[Message | Mapping[str, Any]] | None = ...,
        access_log_flush_interval: Message | Mapping[str, Any] | None = ...,
        flush_access_log_on_new_request: bool | None = ...,
        access_log_options: Message | Mapping[str, Any] | None = ...,
        use_remote_address: Message | Mapping[str, Any] | None = ...,
        xff_num_trusted_hops: int | None = ...,
        original_ip_detection_extensions: Iterable[Message | Mapping[str, Any]] | None = ...,
        early_header_mutation_extensions: Iterable[Message | Mapping[str, Any]] | None = ...,
        internal_address_config: Message | Mapping[str, Any] | None = ...,
        skip_xff_append: bool | None = ...,
        via: str | None = ...,
        generate_request_id: Message | Mapping[str, Any] | None = ...,
        preserve_external_request_id: bool | None = ...,
        always_set_request_id_in_response: bool | None = ...,
        forward_client_cert_details: int | str | None = ...,
        set_current_client_cert_details: Message | Mapping[str, Any] | None = ...,
        forward_client_cert_matcher: Message | Mapping[str, Any] | None = ...,
        proxy_100_continue: bool | None = ...,
        represent_ipv4_remote_address_as_ipv4_mapped_ipv6: bool | None = ...,
        upgrade_configs: Iterable[Message | Mapping[str, Any]] | None = ...,
        normalize_path: Message | Mapping[str, Any] | None = ...,
        merge_slashes: bool | None = ...,
        path_with_escaped_slashes_action: int | str | None = ...,
        request_id_extension: Message | Mapping[str, Any] | None = ...,
        local_reply_config: Message | Mapping[str, Any] | None = ...,
        strip_matching_host_port: bool | None = ...,
        strip_any_host_port: bool | None = ...,
        stream_error_on_invalid_http_message: Message | Mapping[str, Any] | None = ...,
        path_normalization_options: Message | Mapping[str, Any] | None = ...,
        strip_trailing_host_dot: bool | None = ...,
        proxy_status_config: Message | Mapping[str, Any] | None = ...,
        typed_header_validation_config: Message | Mapping[str, Any] | None = ...,
        append_x_forwarded_port: bool | None = ...,
        append_local_overload: bool | None = ...,
        add_proxy_protocol_connection_state: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class HttpInspector(Message): ...

class HttpProtocolOptions(Message):
    common_http_protocol_options: Any
    upstream_http_protocol_options: Any
    explicit_http_config: Any
    use_downstream_protocol_config: Any
    auto_config: Any
    http_filters: Any
    header_validation_config: Any
    outlier_detection: Any
    request_mirror_policies: Any
    hash_policy: Any
    retry_policy: Any
    def __init__(
        self, *,
        common_http_protocol_options: Message | Mapping[str, Any] | None = ...,
        upstream_http_protocol_options: Message | Mapping[str, Any] | None = ...,
        explicit_http_config: Message | Mapping[str, Any] | None = ...,
        use_downstream_protocol_config: Message | Mapping[str, Any] | None = ...,
        auto_config: Message | Mapping[str, Any] | None = ...,
        http_filters: Iterable[Message | Mapping[str, Any]] | None = ...,
        header_validation_config: Message | Mapping[str, Any] | None = ...,
        outlier_detection: Message | Mapping[str, Any] | None = ...,
        request_mirror_policies: Iterable[Message | Mapping[str, Any]] | None = ...,
        hash_policy: Iterable[Message | Mapping[str, Any]] | None = ...,
        retry_policy: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class LbEndpoint(Message):
    endpoint: Any
    endpoint_name: str
    health_status: int | str
    metadata: Any
    load_balancing_weight: Any
    def __init__(
        self, *,
        endpoint: Message | Mapping[str, Any] | None = ...,
        endpoint_name: str | None = ...,
        health_status: int | str | None = ...,
        metadata: Message | Mapping[str, Any] | None = ...,
        load_balancing_weight: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class Listener(Message):
    name: str
    address: Any
    additional_addresses: Any
    stat_prefix: str
    filter_chains: Any
    fcds_config: Any
    filter_chain_matcher: Any
    use_original_dst: Any
    default_filter_chain: Any
    per_connection_buffer_limit_bytes: Any
    metadata: Any
    deprecated_v1: Any
    drain_type: int | str
    listener_filters: Any
    listener_filters_timeout: Any
    continue_on_listener_filters_timeout: bool
    transparent: Any
    freebind: Any
    socket_options: Any
    tcp_fast_open_queue_length: Any
    traffic_direction: int | str
    udp_listener_config: Any
    api_listener: Any
    connection_balance_config: Any
    reuse_port: bool
    enable_reuse_port: Any
    access_log: Any
    tcp_backlog_size: Any
    max_connections_to_accept_per_socket_event: Any
    bind_to_port: Any
    internal_listener: Any
    enable_mptcp: bool
    ignore_global_conn_limit: bool
    bypass_overload_manager: bool
    def __init__(
        self, *,
        name: str | None = ...,
        address: Message | Mapping[str, Any] | None = ...,
        additional_addresses: Iterable[Message | Mapping[str, Any]] | None = ...,
        stat_prefix: str | None = ...,
        filter_chains: Iterable[Message | Mapping[str, Any]] | None = ...,
        fcds_config: Message | Mapping[str, Any] | None = ...,
        filter_chain_matcher: Message | Mapping[str, Any] | None = ...,
        use_original_dst: Message | Mapping[str, Any] | None = ...,
        default_filter_chain: Message | Mapping[str, Any] | None = ...,
        per_connection_buffer_limit_bytes: Message | Mapping[str, Any] | None = ...,
        metadata: Message | Mapping[str, Any] | None = ...,
        deprecated_v1: Message | Mapping[str, Any] | None = ...,
        drain_type: int | str | None = ...,
        listener_filters: Iterable[Message | Mapping[str, Any]] | None = ...,
        listener_filters_timeout: Message | Mapping[str, Any] | None = ...,
        continue_on_listener_filters_timeout: bool | None = ...,
        transparent: Message | Mapping[str, Any] | None = ...,
        freebind: Message | Mapping[str, Any] | None = ...,
        socket_options: Iterable[Message | Mapping[str, Any]] | None = ...,
        tcp_fast_open_queue_length: Message | Mapping[str, Any] | None = ...,
        traffic_direction: int | str | None = ...,
        udp_listener_config: Message | Mapping[str, Any] | None = ...,
        api_listener: Message | Mapping[str, Any] | None = ...,
        connection_balance_config: Message | Mapping[str, Any] | None = ...,
        reuse_port: bool | None = ...,
        enable_reuse_port: Message | Mapping[str, Any] | None = ...,
        access_log: Iterable[Message | Mapping[str, Any]] | None = ...,
        tcp_backlog_size: Message | Mapping[str, Any] | None = ...,
        max_connections_to_accept_per_socket_event: Message | Mapping[str, Any] | None = ...,
        bind_to_port: Message | Mapping[str, Any] | None = ...,
        internal_listener: Message | Mapping[str, Any] | None = ...,
        enable_mptcp: bool | None = ...,
        ignore_global_conn_limit: bool | None = ...,
        bypass_overload_manager: bool | None = ...,
    ) -> None: ...

class LocalityLbEndpoints(Message):
    locality: Any
    metadata: Any
    lb_endpoints: Any
    load_balancer_endpoints: Any
    leds_cluster_locality_config: Any
    load_balancing_weight: Any
    priority: int
    proximity: Any
    def __init__(
        self, *,
        locality: Message | Mapping[str, Any] | None = ...,
        metadata: Message | Mapping[str, Any] | None = ...,
        lb_endpoints: Iterable[Message | Mapping[str, Any]] | None = ...,
        load_balancer_endpoints: Message | Mapping[str, Any] | None = ...,
        leds_cluster_locality_config: Message | Mapping[str, Any] | None = ...,
        load_balancing_weight: Message | Mapping[str, Any] | None = ...,
        priority: int | None = ...,
        proximity: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class Node(Message):
    id: str
    cluster: str
    metadata: Any
    dynamic_parameters: Any
    locality: Any
    user_agent_name: str
    user_agent_version: str
    user_agent_build_version: Any
    extensions: Any
    client_features: Any
    listening_addresses: Any
    def __init__(
        self, *,
        id: str | None = ...,
        cluster: str | None = ...,
        metadata: Message | Mapping[str, Any] | None = ...,
        dynamic_parameters: Mapping[Any, Any] | None = ...,
        locality: Message | Mapping[str, Any] | None = ...,
        user_agent_name: str | None = ...,
        user_agent_version: str | None = ...,
        user_agent_build_version: Message | Mapping[str, Any] | None = ...,
        extensions: Iterable[Message | Mapping[str, Any]] | None = ...,
        client_features: Iterable[str] | None = ...,
        listening_addresses: Iterable[Message | Mapping[str, Any]] | None = ...,
    ) -> None: ...

class OriginalDst(Message): ...

class Resource(Message):
    name: str
    resource_name: Any
    aliases: Any
    version: str
    resource: Any
    ttl: Any
    cache_control: Any
    metadata: Any
    def __init__(
        self, *,
        name: str | None = ...,
        resource_name: Message | Mapping[str, Any] | None = ...,
        aliases: Iterable[str] | None = ...,
        version: str | None = ...,
        resource: Message | Mapping[str, Any] | None = ...,
        ttl: Message | Mapping[str, Any] | None = ...,
        cache_control: Message | Mapping[str, Any] | None = ...,
        metadata: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class Route(Message):
    name: str
    match: Any
    route: Any
    redirect: Any
    direct_response: Any
    filter_action: Any
    non_forwarding_action: Any
    metadata: Any
    decorator: Any
    typed_per_filter_config: Any
    request_headers_to_add: Any
    request_headers_to_remove: Any
    response_headers_to_add: Any
    response_headers_to_remove: Any
    tracing: Any
    per_request_buffer_limit_bytes: Any
    stat_prefix: str
    request_body_buffer_limit: Any
    def __init__(
        self, *,
        name: str | None = ...,
        match: Message | Mapping[str, Any] | None = ...,
        route: Message | Mapping[str, Any] | None = ...,
        redirect: Message | Mapping[str, Any] | None = ...,
        direct_response: Message | Mapping[str, Any] | None = ...,
        filter_action: Message | Mapping[str, Any] | None = ...,
        non_forwarding_action: Message | Mapping[str, Any] | None = ...,
        metadata: Message | Mapping[str, Any] | None = ...,
        decorator: Message | Mapping[str, Any] | None = ...,
        typed_per_filter_config: Mapping[Any, Any] | None = ...,
        request_headers_to_add: Iterable[Message | Mapping[str, Any]] | None = ...,
        request_headers_to_remove: Iterable[str] | None = ...,
        response_headers_to_add: Iterable[Message | Mapping[str, Any]] | None = ...,
        response_headers_to_remove: Iterable[str] | None = ...,
        tracing: Message | Mapping[str, Any] | None = ...,
        per_request_buffer_limit_bytes: Message | Mapping[str, Any] | None = ...,
        stat_prefix: str | None = ...,
        request_body_buffer_limit: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class RouteConfiguration(Message):
    name: str
    virtual_hosts: Any
    vhds: Any
    internal_only_headers: Any
    response_headers_to_add: Any
    response_headers_to_remove: Any
    request_headers_to_add: Any
    request_headers_to_remove: Any
    most_specific_header_mutations_wins: bool
    validate_clusters: Any
    max_direct_response_body_size_bytes: Any
    cluster_specifier_plugins: Any
    request_mirror_policies: Any
    ignore_port_in_host_matching: bool
    vhost_header: str
    ignore_path_parameters_in_path_matching: bool
    typed_per_filter_config: Any
    metadata: Any
    def __init__(
        self, *,
        name: str | None = ...,
        virtual_hosts: Iterable[Message | Mapping[str, Any]] | None = ...,
        vhds: Message | Mapping[str, Any] | None = ...,
        internal_only_headers: Iterable[str] | None = ...,
        response_headers_to_add: Iterable[Message | Mapping[str, Any]] | None = ...,
        response_headers_to_remove: Iterable[str] | None = ...,
        request_headers_to_add: Iterable[Message | Mapping[str, Any]] | None = ...,
        request_headers_to_remove: Iterable[str] | None = ...,
        most_specific_header_mutations_wins: bool | None = ...,
        validate_clusters: Message | Mapping[str, Any] | None = ...,
        max_direct_response_body_size_bytes: Message | Mapping[str, Any] | None = ...,
        cluster_specifier_plugins: Iterable[Message | Mapping[str, Any]] | None = ...,
        request_mirror_policies: Iterable[Message | Mapping[str, Any]] | None = ...,
        ignore_port_in_host_matching: bool | None = ...,
        vhost_header: str | None = ...,
        ignore_path_parameters_in_path_matching: bool | None = ...,
        typed_per_filter_config: Mapping[Any, Any] | None = ...,
        metadata: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class Router(Message):
    dynamic_stats: Any
    start_child_span: bool
    upstream_log: Any
    upstream_log_options: Any
    suppress_envoy_headers: bool
    strict_check_headers: Any
    respect_expected_rq_timeout: bool
    suppress_grpc_request_failure_code_stats: bool
    upstream_http_filters: Any
    def __init__(
        self, *,
        dynamic_stats: Message | Mapping[str, Any] | None = ...,
        start_child_span: bool | None = ...,
        upstream_log: Iterable[Message | Mapping[str, Any]] | None = ...,
        upstream_log_options: Message | Mapping[str, Any] | None = ...,
        suppress_envoy_headers: bool | None = ...,
        strict_check_headers: Iterable[str] | None = ...,
        respect_expected_rq_timeout: bool | None = ...,
        suppress_grpc_request_failure_code_stats: bool | None = ...,
        upstream_http_filters: Iterable[Message | Mapping[str, Any]] | None = ...,
    ) -> None: ...

class Secret(Message):
    name: str
    tls_certificate: Any
    session_ticket_keys: Any
    validation_context: Any
    generic_secret: Any
    def __init__(
        self, *,
        name: str | None = ...,
        tls_certificate: Message | Mapping[str, Any] | None = ...,
        session_ticket_keys: Message | Mapping[str, Any] | None = ...,
        validation_context: Message | Mapping[str, Any] | None = ...,
        generic_secret: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class StructMessage(Message):
    fields: Any
    def __init__(
        self, *,
        fields: Mapping[Any, Any] | None = ...,
    ) -> None: ...

class TcpProxy(Message):
    stat_prefix: str
    cluster: str
    weighted_clusters: Any
    on_demand: Any
    metadata_match: Any
    idle_timeout: Any
    downstream_idle_timeout: Any
    upstream_idle_timeout: Any
    access_log: Any
    max_connect_attempts: Any
    backoff_options: Any
    hash_policy: Any
    tunneling_config: Any
    max_downstream_connection_duration: Any
    max_downstream_connection_duration_jitter_percentage: Any
    access_log_flush_interval: Any
    flush_access_log_on_connected: bool
    access_log_options: Any
    proxy_protocol_tlvs: Any
    upstream_connect_mode: int | str
    max_early_data_bytes: Any
    def __init__(
        self, *,
        stat_prefix: str | None = ...,
        cluster: str | None = ...,
        weighted_clusters: Message | Mapping[str, Any] | None = ...,
        on_demand: Message | Mapping[str, Any] | None = ...,
        metadata_match: Message | Mapping[str, Any] | None = ...,
        idle_timeout: Message | Mapping[str, Any] | None = ...,
        downstream_idle_timeout: Message | Mapping[str, Any] | None = ...,
        upstream_idle_timeout: Message | Mapping[str, Any] | None = ...,
        access_log: Iterable[Message | Mapping[str, Any]] | None = ...,
        max_connect_attempts: Message | Mapping[str, Any] | None = ...,
        backoff_options: Message | Mapping[str, Any] | None = ...,
        hash_policy: Iterable[Message | Mapping[str, Any]] | None = ...,
        tunneling_config: Message | Mapping[str, Any] | None = ...,
        max_downstream_connection_duration: Message | Mapping[str, Any] | None = ...,
        max_downstream_connection_duration_jitter_percentage: Message | Mapping[str, Any] | None = ...,
        access_log_flush_interval: Message | Mapping[str, Any] | None = ...,
        flush_access_log_on_connected: bool | None = ...,
        access_log_options: Message | Mapping[str, Any] | None = ...,
        proxy_protocol_tlvs: Iterable[Message | Mapping[str, Any]] | None = ...,
        upstream_connect_mode: int | str | None = ...,
        max_early_data_bytes: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class TlsInspector(Message):
    enable_ja3_fingerprinting: Any
    enable_ja4_fingerprinting: Any
    initial_read_buffer_size: Any
    close_connection_on_client_hello_parsing_errors: bool
    max_client_hello_size: Any
    def __init__(
        self, *,
        enable_ja3_fingerprinting: Message | Mapping[str, Any] | None = ...,
        enable_ja4_fingerprinting: Message | Mapping[str, Any] | None = ...,
        initial_read_buffer_size: Message | Mapping[str, Any] | None = ...,
        close_connection_on_client_hello_parsing_errors: bool | None = ...,
        max_client_hello_size: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class TransportSocket(Message):
    name: str
    typed_config: Any
    def __init__(
        self, *,
        name: str | None = ...,
        typed_config: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class UpstreamTlsContext(Message):
    common_tls_context: Any
    sni: str
    auto_host_sni: bool
    auto_sni_san_validation: bool
    allow_renegotiation: bool
    max_session_keys: Any
    enforce_rsa_key_usage: Any
    def __init__(
        self, *,
        common_tls_context: Message | Mapping[str, Any] | None = ...,
        sni: str | None = ...,
        auto_host_sni: bool | None = ...,
        auto_sni_san_validation: bool | None = ...,
        allow_renegotiation: bool | None = ...,
        max_session_keys: Message | Mapping[str, Any] | None = ...,
        enforce_rsa_key_usage: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...

class VirtualHost(Message):
    name: str
    domains: Any
    routes: Any
    matcher: Any
    require_tls: int | str
    virtual_clusters: Any
    rate_limits: Any
    request_headers_to_add: Any
    request_headers_to_remove: Any
    response_headers_to_add: Any
    response_headers_to_remove: Any
    cors: Any
    typed_per_filter_config: Any
    include_request_attempt_count: bool
    include_attempt_count_in_response: bool
    retry_policy: Any
    retry_policy_typed_config: Any
    hedge_policy: Any
    include_is_timeout_retry_header: bool
    per_request_buffer_limit_bytes: Any
    request_body_buffer_limit: Any
    request_mirror_policies: Any
    metadata: Any
    def __init__(
        self, *,
        name: str | None = ...,
        domains: Iterable[str] | None = ...,
        routes: Iterable[Message | Mapping[str, Any]] | None = ...,
        matcher: Message | Mapping[str, Any] | None = ...,
        require_tls: int | str | None = ...,
        virtual_clusters: Iterable[Message | Mapping[str, Any]] | None = ...,
        rate_limits: Iterable[Message | Mapping[str, Any]] | None = ...,
        request_headers_to_add: Iterable[Message | Mapping[str, Any]] | None = ...,
        request_headers_to_remove: Iterable[str] | None = ...,
        response_headers_to_add: Iterable[Message | Mapping[str, Any]] | None = ...,
        response_headers_to_remove: Iterable[str] | None = ...,
        cors: Message | Mapping[str, Any] | None = ...,
        typed_per_filter_config: Mapping[Any, Any] | None = ...,
        include_request_attempt_count: bool | None = ...,
        include_attempt_count_in_response: bool | None = ...,
        retry_policy: Message | Mapping[str, Any] | None = ...,
        retry_policy_typed_config: Message | Mapping[str, Any] | None = ...,
        hedge_policy: Message | Mapping[str, Any] | None = ...,
        include_is_timeout_retry_header: bool | None = ...,
        per_request_buffer_limit_bytes: Message | Mapping[str, Any] | None = ...,
        request_body_buffer_limit: Message | Mapping[str, Any] | None = ...,
        request_mirror_policies: Iterable[Message | Mapping[str, Any]] | None = ...,
        metadata: Message | Mapping[str, Any] | None = ...,
    ) -> None: ...
