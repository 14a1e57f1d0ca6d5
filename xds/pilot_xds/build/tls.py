"""TLS contexts: how proxies prove who they are to each other, and whom they believe.

Rule 1: no certificate and no key is in the configuration. Both come from the agent beside the
proxy (SDS), under the names that every agent knows, and are replaced there without a word of ours.
Rule 2: each context says whose certificates it takes: a caller names the ids behind the cluster, a
listener the trust domain. That the roots vouch for a certificate is never enough.
Rule 3: a platform's own TLS server has a name of its own at each endpoint. That is the endpoint's
`hostname`, so that one context is enough for thousands of them, and a change is one of endpoints.
Rule 4: an endpoint's metadata says which context is for it. One that wants TLS which its cluster
does not have is not spoken to in plaintext: the two come from one plan.
"""

from __future__ import annotations

import functools
from typing import Any

from pilot_core.plan import identities, names
from pilot_core.plan.views import CallersView, ClusterView, RootsView
from pilot_xds.bootstrap import AGENT_CLUSTER
from pilot_xds.protos import (
    CommonTlsContext,
    DownstreamTlsContext,
    Secret,
    TlsInspector,
    TransportSocket,
    UpstreamTlsContext,
    pack,
)

CERTIFICATE, ROOTS = "default", "ROOTCA"
MESH_PROTOCOL = "istio"
"""The ALPN name by which a permissive listener knows the mesh's own callers from a client that
wants to speak TLS with the application. Its name is the one that sidecars everywhere know."""
MATCH = "envoy.transport_socket_match"
MUTUAL = "mutual"
_PLATFORM = "platform/"
_MARK = "tls"
_SOCKET = "envoy.transport_sockets.tls"
_INSPECTOR = "envoy.filters.listener.tls_inspector"
_URI = 3
_TLS_1_2, _TLS_1_3 = 3, 4
_GRPC, _V3 = 2, 2
_ROOTS_PATIENCE = 2
_AGENT_PATIENCE, _AGENT_AGAIN = 5, 2
"""Seconds."""


def to_mesh(view: ClusterView) -> Any:
    """The transport socket of a caller: its certificate, and the cluster's ids at the other end."""
    # With the protocol itself as well, for servers that are no sidecars and know ours by no name.
    common = _common(MESH_PROTOCOL, *filter(None, [view.protocol]))
    trusted = common.combined_validation_context.default_validation_context
    for name in view.identities:
        _matcher(trusted).exact = name
    context = UpstreamTlsContext(common_tls_context=common, sni=names.server_name(view.name))
    return _socket(context)


def to_platform(roots: str, protocol: str) -> Any:
    """The transport socket of a caller to a platform's own TLS server: no certificate of his, and
    at the other end the one that the endpoint is named for, as its roots say."""
    common = CommonTlsContext(alpn_protocols=filter(None, [protocol]))
    _versions(common)
    secret = common.validation_context_sds_secret_config
    secret.name = names.roots(roots)
    secret.sds_config.ads.SetInParent()
    secret.sds_config.resource_api_version = _V3
    # Roots that never come hold up neither the cluster's other endpoints nor other clusters.
    secret.sds_config.initial_fetch_timeout.seconds = _ROOTS_PATIENCE
    context = UpstreamTlsContext(common_tls_context=common)
    context.auto_host_sni = context.auto_sni_san_validation = True
    # A resumed session is not verified anew, and another endpoint could have begun it.
    context.max_session_keys.SetInParent()
    return _socket(context)


def roots(view: RootsView) -> bytes:
    """Certificates to believe, as a secret."""
    made = Secret(name=view.name)
    made.validation_context.trusted_ca.inline_string = view.certificates
    return made.SerializeToString(deterministic=True)


def from_mesh(callers: CallersView, *, http: bool) -> Any:
    """The transport socket of a listener: its certificate, and any id of the trust domain at the
    other end."""
    common = _common(*(["h2", "http/1.1"] if http else []), MESH_PROTOCOL)
    trusted = common.combined_validation_context.default_validation_context
    _matcher(trusted).prefix = identities.prefix(callers.trust_domain)
    context = DownstreamTlsContext(common_tls_context=common)
    context.require_client_certificate.value = True
    return _socket(context)


def platform_mark(roots: str) -> str:
    """What endpoints with a platform's TLS server are marked with."""
    return _PLATFORM + roots


def add_match(cluster: Any, mark: str, socket: Any) -> None:
    """Endpoints with this mark are spoken to by this socket; those without any in plaintext."""
    added = cluster.transport_socket_matches.add(name=mark)
    added.match.fields[_MARK].string_value = mark
    added.transport_socket.CopyFrom(socket)


def mark(metadata: Any, mark: str) -> None:
    """Mark an endpoint, by its metadata."""
    metadata.filter_metadata[MATCH].fields[_MARK].string_value = mark


def inspect(listener: Any) -> None:
    """Have the listener look at the first bytes, so that filter chains can match on them."""
    added = listener.listener_filters.add(name=_INSPECTOR)
    added.typed_config.CopyFrom(pack(TlsInspector()))


def _common(*protocols: str) -> Any:
    made = CommonTlsContext()
    made.CopyFrom(_by_agent())
    made.alpn_protocols.extend(protocols)
    return made


@functools.cache
def _by_agent() -> Any:
    """What all contexts have in common."""
    made: Any = CommonTlsContext()
    _versions(made)
    _secret(made.tls_certificate_sds_secret_configs.add(), CERTIFICATE)
    _secret(made.combined_validation_context.validation_context_sds_secret_config, ROOTS)
    return made


def _versions(made: Any) -> None:
    # Said in so many words: what Envoy does by itself is not the same for callers and listeners.
    made.tls_params.tls_minimum_protocol_version = _TLS_1_2
    made.tls_params.tls_maximum_protocol_version = _TLS_1_3


def _secret(made: Any, name: str) -> None:
    made.name = name
    made.sds_config.resource_api_version = _V3
    source = made.sds_config.api_config_source
    source.api_type, source.transport_api_version = _GRPC, _V3
    source.set_node_on_first_message_only = True
    agent = source.grpc_services.add().envoy_grpc
    agent.cluster_name = AGENT_CLUSTER
    # It is on this machine: whoever restarts it does not want to wait for half a minute then.
    again = agent.retry_policy.retry_back_off
    again.base_interval.nanos, again.max_interval.seconds = 250_000_000, _AGENT_AGAIN
    # Without an agent, what is plaintext waits for no longer than this.
    made.sds_config.initial_fetch_timeout.seconds = _AGENT_PATIENCE


def _matcher(trusted: Any) -> Any:
    return trusted.match_typed_subject_alt_names.add(san_type=_URI).matcher


def _socket(context: Any) -> Any:
    return TransportSocket(name=_SOCKET, typed_config=pack(context))
