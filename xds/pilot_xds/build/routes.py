"""Route configurations (RDS), put together from virtual hosts that are each encoded once."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from pilot_core.plan.remembered import remembered
from pilot_core.plan.views import HostsView, RoutesView, VirtualHostView
from pilot_xds.protos import RouteConfiguration, VirtualHost
from pilot_xds.wire import field

RETRY_ON = "connect-failure,refused-stream,reset-before-request"
"""Failures after which the request has certainly not been taken up: another attempt is safe
whatever the method. So an endpoint that has just gone costs no request."""

_RETRIES = "3"
"""A new endpoint's sidecar opens its listener some milliseconds after callers hear of it: with the
pauses in between, three more attempts outlast that."""
_ADD_IF_ABSENT = 1
_VIRTUAL_HOSTS = 2
"""The field of RouteConfiguration that holds them."""


_encoded: WeakKeyDictionary[HostsView, bytes] = WeakKeyDictionary()


def build(view: RoutesView) -> bytes:
    """One new service among thousands costs the encoding of one virtual host, and one group."""
    rest = _configuration(view.name)
    return rest.SerializeToString(deterministic=True) + b"".join(map(_group, view.groups))


def _group(view: HostsView) -> bytes:
    """The virtual hosts as fields of a RouteConfiguration: concatenated fields are one message."""
    found = _encoded.get(view)
    if found is None:
        hosts = (field(_VIRTUAL_HOSTS, _virtual_host(host)) for host in view.hosts)
        found = _encoded[view] = b"".join(hosts)
    return found


@remembered
def _virtual_host(view: VirtualHostView) -> bytes:
    return virtual_host(view).SerializeToString(deterministic=True)


def virtual_host(view: VirtualHostView) -> VirtualHost:
    """Everything for these domains, to one cluster."""
    made = VirtualHost(name=view.name, domains=view.domains)
    route = made.routes.add()
    route.match.prefix = "/"
    route.route.cluster = view.cluster
    # How long a request may take is the caller's business; a stream has no end at all.
    route.route.timeout.SetInParent()
    return made


def _configuration(name: str) -> RouteConfiguration:
    """A configuration without hosts, with the retry policy of all its routes.

    It is said in the words of the router's own request headers, once, where a policy would have to
    stand in every virtual host; the router takes them off again.
    """
    made = RouteConfiguration(name=name, validate_clusters={"value": False})
    for header, value in (("x-envoy-retry-on", RETRY_ON), ("x-envoy-max-retries", _RETRIES)):
        added = made.request_headers_to_add.add()
        added.header.key, added.header.value = header, value
        added.append_action = _ADD_IF_ABSENT
    return made


def to_cluster(name: str, cluster: str) -> RouteConfiguration:
    """A configuration that sends every host to one cluster."""
    made = _configuration(name)
    made.virtual_hosts.append(virtual_host(VirtualHostView(name, ("*",), cluster)))
    return made
