"""What a sidecar is to have whose application's traffic is redirected to it."""

from __future__ import annotations

import msgspec

from pilot_core.model import (
    Claim,
    Inbound,
    InboundTls,
    MeshService,
    Mode,
    Port,
    Protocol,
    Proxy,
    Shard,
    World,
)
from pilot_core.plan import inbound, intercepted
from pilot_core.plan.inbound import Stand
from pilot_core.plan.intercepted import PortListeners, PortRoutes
from pilot_core.plan.proxies import plan, shut
from pilot_core.plan.views import CallersView, GateView, PortListenerView, RoutesView
from worlds import endpoint, service, world

RAW = Port("raw", 5000, Protocol.TCP)
HERE = Stand(("10.0.0.1",), "shop", is_intercepted=True)
REDIRECTED = Proxy(id="p", addresses=("10.0.0.1",), namespace="shop", mode=Mode.REDIRECT)


def domains(made: World, number: int, namespace: str = "shop") -> dict[str, tuple[str, ...]]:
    views = {view.name: view for view in PortRoutes(namespace, "elsewhere").views(made)}
    found = views[str(number)]
    assert isinstance(found, RoutesView)
    return {host.name: host.domains for host in found.hosts}


def listening(made: World, namespace: str = "shop") -> dict[str, tuple[str, str]]:
    views = PortListeners(namespace, "elsewhere").views(made)
    return {v.name: (v.cluster, v.routes) for v in views if isinstance(v, PortListenerView)}


def gate(made: World, stand: Stand = HERE) -> GateView:
    return inbound.gate(made, stand, 15006)


def said(made: World, **more: object) -> World:
    statement = Inbound(name="x", **more)  # type: ignore[arg-type]
    return made.apply({}, {}, {statement.key: (Claim("file", "f", statement),)})[0]


def test_http_is_told_apart_by_host_and_port():
    made = world(service("web.shop.mesh", addresses=("10.96.0.1", "fd00::1")))
    own = ("web.shop.mesh", "web.shop.mesh:80", "web", "web:80", "10.96.0.1", "10.96.0.1:80")
    expected = {
        "web.shop.mesh:80": (*own, "[fd00::1]", "[fd00::1]:80"),
        "elsewhere": ("*",),
    }
    assert expected == domains(made, 80)
    assert {"0.0.0.0_80": ("elsewhere", "80")} == listening(made)


def test_a_domain_that_two_services_want_belongs_to_the_own_namespace():
    theirs = service("a.bank.mesh", "bank", addresses=("10.96.0.1",))
    ours = service("web.shop.mesh", addresses=("10.96.0.1",))
    found = domains(world(theirs, ours), 80)
    assert "10.96.0.1" in found["web.shop.mesh:80"]
    assert ("a.bank.mesh", "a.bank.mesh:80") == found["a.bank.mesh:80"]


def test_short_names_are_for_the_own_namespace_and_not_for_two():
    made = world(
        service("web.shop.mesh"), service("web.shop.other"), service("x.bank.mesh", "bank")
    )
    found = [domain for names in domains(made, 80).values() for domain in names]
    assert not {"web", "x"} & set(found)


def test_a_service_for_everything_leaves_nothing_for_elsewhere():
    assert {"*:80": ("*",)} == domains(world(service("*")), 80)


def test_bytes_are_told_apart_by_the_virtual_address_alone():
    known = service("db.shop.mesh", ports=(RAW,), addresses=("10.96.0.1", "rubbish"))
    unknown = service("other.shop.mesh", ports=(RAW,))
    expected = {"10.96.0.1_5000": ("outbound|5000||db.shop.mesh", "")}
    assert expected == listening(world(known, unknown))


def test_of_two_services_at_one_virtual_address_the_own_one_counts():
    theirs = service("a.bank.mesh", "bank", ports=(RAW,), addresses=("10.96.0.1",))
    ours = service("db.shop.mesh", ports=(RAW,), addresses=("10.96.0.1",))
    found = listening(world(theirs, ours))
    assert {"10.96.0.1_5000": ("outbound|5000||db.shop.mesh", "")} == found
    found = listening(world(theirs, ours), "bank")
    assert {"10.96.0.1_5000": ("outbound|5000||a.bank.mesh", "")} == found


def test_what_a_namespace_does_not_see_is_elsewhere():
    made = world(service("web.bank.mesh", "bank", visibility=(".",)))
    assert {} == listening(made)


def test_an_endpoint_s_change_concerns_endpoints_alone():
    made = world(service("web.shop.mesh"), web=[endpoint("10.0.0.9")])
    after, delta = made.apply({}, {"web.shop.mesh": (Shard("file", "f", ()),)})
    for key in (PortListeners("shop", ""), PortRoutes("shop", "")):
        change = key.changes(made, after, delta)
        assert () == change.put == change.drop


def test_a_new_virtual_address_changes_the_routes_of_its_port():
    made = world(
        service("web.shop.mesh"), service("b.shop.mesh", ports=(Port("http", 81, Protocol.HTTP),))
    )
    moved = service("web.shop.mesh", addresses=("10.96.0.1",))
    after, delta = made.apply({"web.shop.mesh": MeshService(moved, ("file",))}, {})
    assert ["80"] == [v.name for v in PortRoutes("shop", "").changes(made, after, delta).put]


def test_the_application_has_its_address_and_port_for_itself():
    made = world(service("web.shop.mesh"), web=[endpoint("10.0.0.1", ports=(("http", 8080),))])
    (cluster,) = inbound.clusters(made, HERE)
    behind = cluster.localities[0].endpoints[0]
    assert ("10.0.0.1", 8080) == (behind.addresses[0], behind.port)
    assert "127.0.0.6" == cluster.source
    assert ["inbound|8080||"] == [served.cluster for served in gate(made).served]


def test_the_application_may_be_elsewhere_still():
    stand = msgspec.structs.replace(HERE, applications=((80, "127.0.0.1:9000"),))
    (cluster,) = inbound.clusters(
        world(service("web.shop.mesh"), web=[endpoint("10.0.0.1")]), stand
    )
    assert 9000 == cluster.localities[0].endpoints[0].port


def test_a_port_that_no_registry_knows_goes_to_the_application():
    assert "InboundPassthroughCluster" == gate(world()).otherwise.cluster


def test_where_only_the_mesh_may_connect_it_may_to_no_port():
    made = world(service("web.shop.mesh"), web=[endpoint("10.0.0.1")])
    strict = said(made, namespace="shop", mode=InboundTls.STRICT)

    closed = gate(strict)
    assert [("BlackHoleCluster", None)] == [(s.cluster, s.callers) for s in closed.served]
    assert "BlackHoleCluster" == closed.otherwise.cluster
    assert ("10.0.0.1:80",) == shut(plan(REDIRECTED), strict).unserved

    open_to_us = gate(strict, msgspec.structs.replace(HERE, trust_domain="cluster.local"))
    callers = CallersView("cluster.local")
    assert [callers] == [s.callers for s in open_to_us.served]
    assert callers == open_to_us.otherwise.callers


def test_a_sidecar_s_own_ports_are_no_ports_of_services():
    asking = msgspec.structs.replace(
        REDIRECTED,
        outbound=(("127.0.0.1:15001", "web.shop.mesh:80"), ("9001", "web.shop.mesh:80")),
    )
    made = world(service("web.shop.mesh"))
    names = [view.name for key in plan(asking).listeners for view in key.views(made)]
    assert ["0.0.0.0_80", "outbound_127.0.0.1_9001", "virtualInbound", "virtualOutbound"] == sorted(
        names
    )


def test_a_gateway_intercepts_nothing():
    from pilot_core.model import ProxyKind

    made = plan(msgspec.structs.replace(REDIRECTED, kind=ProxyKind.ROUTER))
    assert not any(isinstance(key, intercepted.CaughtListener) for key in made.listeners)
