"""Listeners of a sidecar whose application's traffic is redirected to it (LDS).

The system redirects connections to two ports. Where each was meant to go is what the system says of
the socket (the original destination), and Envoy goes by that.
"""

from __future__ import annotations

from typing import Any

from pilot_core.plan import names
from pilot_core.plan.views import (
    CaughtListenerView,
    Direction,
    ForwardListenerView,
    GateView,
    PortListenerView,
)
from pilot_xds.build import listener
from pilot_xds.protos import HttpInspector, OriginalDst, pack

_ORIGINAL_DST = "envoy.filters.listener.original_dst"
_HTTP_INSPECTOR = "envoy.filters.listener.http_inspector"
_HTTP = ("http/1.0", "http/1.1", "h2c")
"""What the inspector calls the HTTP that it finds."""
_ANY = "0.0.0.0"
_WHOLE = {False: 32, True: 128}
"""Bits of an address, by whether it is of IPv6."""


def caught(view: CaughtListenerView) -> bytes:
    """Each connection to the listener of what it was meant for, else to the cluster."""
    made = listener.start(view.name, _ANY, view.port, Direction.OUTBOUND)
    made.use_original_dst.value = True
    # Whoever connects to this very port was not redirected: on to there would be a loop.
    loop = made.filter_chains.add()
    loop.filter_chain_match.destination_port.value = view.port
    _bytes(loop, view.name, names.BLACK_HOLE)
    _bytes(made.default_filter_chain, view.name, view.cluster)
    return made.SerializeToString(deterministic=True)


def port(view: PortListenerView) -> bytes:
    """What was meant for one port, at any address or at one."""
    made = listener.start(view.name, view.address, view.port, Direction.OUTBOUND)
    made.bind_to_port.value = False
    _bytes(made.default_filter_chain, view.name, view.cluster)
    if view.routes:
        inspector = made.listener_filters.add(name=_HTTP_INSPECTOR)
        inspector.typed_config.CopyFrom(pack(HttpInspector()))
        made.continue_on_listener_filters_timeout = True
        chain = made.filter_chains.add()
        chain.filter_chain_match.application_protocols.extend(_HTTP)
        manager = listener.by_routes(_plain(view.name), view.routes, Direction.OUTBOUND)
        listener.add_filter(chain, listener.HTTP_MANAGER, manager)
    return made.SerializeToString(deterministic=True)


def gate(view: GateView) -> bytes:
    """What was meant for the application, as the listener at that address and port would serve."""
    made = listener.start(view.name, _ANY, view.port, Direction.INBOUND)
    original = made.listener_filters.add(name=_ORIGINAL_DST)
    original.typed_config.CopyFrom(pack(OriginalDst()))
    both = [one for one in view.served if one.takes_both]
    if both:
        listener.inspect(made, has_bytes=not all(one.http for one in both))
    loop = made.filter_chains.add()
    loop.filter_chain_match.destination_port.value = view.port
    _bytes(loop, view.name, names.BLACK_HOLE)
    for served in view.served:
        for chain in listener.chains(served):
            _meant_for(chain, served)
            made.filter_chains.append(chain)
    for chain in listener.chains(view.otherwise):
        made.default_filter_chain.CopyFrom(chain)
    return made.SerializeToString(deterministic=True)


def _meant_for(chain: Any, served: ForwardListenerView) -> None:
    match = chain.filter_chain_match
    match.destination_port.value = served.port
    only = match.prefix_ranges.add(address_prefix=served.address)
    only.prefix_len.value = _WHOLE[":" in served.address]


def _bytes(chain: Any, name: str, cluster: str) -> None:
    proxy = listener.bytes_to(_plain(name), cluster)
    listener.add_filter(chain, listener.TCP_PROXY, proxy)


def _plain(name: str) -> str:
    """As names of statistics are."""
    return name.replace(".", "_").replace(":", "_")
