"""What a sidecar takes in, and where it hands it."""

from __future__ import annotations

from pilot_core.model import Claim, Endpoint, Inbound, InboundTls, Port, Protocol, World
from pilot_core.plan import inbound
from pilot_core.plan.inbound import Stand
from pilot_core.plan.views import CallersView
from worlds import endpoint, service, world

HERE = Stand(("10.0.0.1",), "shop")


def listening(made: World, stand: Stand = HERE) -> list[tuple[str, int, str, bool]]:
    return [(v.address, v.port, v.cluster, v.http) for v in inbound.listeners(made, stand)]


def handing_to(made: World, stand: Stand = HERE) -> dict[str, tuple[str, int]]:
    return {
        view.name: (endpoint.addresses[0], endpoint.port)
        for view in inbound.clusters(made, stand)
        for endpoint in view.localities[0].endpoints
    }


def web(*endpoints: Endpoint, **more: object) -> World:
    return world(service("web.shop.mesh", **more), web=endpoints)


def test_a_sidecar_listens_where_its_endpoints_are_and_hands_over_on_loopback():
    made = web(endpoint("10.0.0.1", ports=(("http", 9080),)), endpoint("10.0.0.2"))
    assert [("10.0.0.1", 9080, "inbound|9080||", True)] == listening(made)
    assert {"inbound|9080||": ("127.0.0.1", 9080)} == handing_to(made)


def test_the_endpoint_s_own_port_decides_and_not_that_of_the_service():
    assert [80] == [port for _, port, _, _ in listening(web(endpoint("10.0.0.1")))]


def test_the_application_may_be_elsewhere():
    stand = Stand(("10.0.0.1",), "shop", ((80, "10.0.9.9:8000"),))
    assert {"inbound|80||": ("10.0.9.9", 8000)} == handing_to(web(endpoint("10.0.0.1")), stand)


def test_where_an_application_cannot_be_read_it_is_on_loopback():
    stand = Stand(("10.0.0.1",), "shop", ((80, "somewhere"),))
    assert {"inbound|80||": ("127.0.0.1", 80)} == handing_to(web(endpoint("10.0.0.1")), stand)


def test_there_is_no_listener_on_the_application_s_own_address():
    loopback = Stand(("127.0.0.1",), "shop")
    assert [] == listening(web(endpoint("127.0.0.1")), loopback)
    onto_itself = Stand(("10.0.0.1",), "shop", ((80, "10.0.0.1:80"),))
    assert [] == listening(web(endpoint("10.0.0.1")), onto_itself)


def test_other_namespaces_services_at_this_address_are_not_its_own():
    made = world(service("web.bank.mesh", namespace="bank"), web=[endpoint("10.0.0.1")])
    assert [] == listening(made)


def test_two_services_on_one_port_share_the_listener_and_the_first_decides():
    made = world(
        service("b.shop.mesh", ports=(Port("raw", 80),)),
        service("a.shop.mesh"),
        a=[endpoint("10.0.0.1", ports=(("http", 9080),))],
        b=[endpoint("10.0.0.1", ports=(("raw", 9080),))],
    )
    assert [("10.0.0.1", 9080, "inbound|9080||", True)] == listening(made)


def test_http2_goes_on_as_http2():
    made = web(endpoint("10.0.0.1"), ports=(Port("rpc", 80, Protocol.GRPC),))
    assert [True] == [view.http2 for view in inbound.clusters(made, HERE)]


def test_sockets_and_wildcard_addresses_have_no_listener():
    made = web(endpoint("unix:///run/a.sock"), endpoint("0.0.0.0"), endpoint("::"))
    assert [] == listening(made, Stand(("unix:///run/a.sock", "0.0.0.0", "::"), "shop"))


def test_every_family_of_an_endpoint_is_listened_on():
    both = Endpoint(addresses=("10.0.0.1", "fd00::1"))
    found = listening(web(both), Stand(("10.0.0.1", "fd00::1"), "shop"))
    assert ["10.0.0.1", "fd00::1"] == [address for address, _, _, _ in found]


def test_an_address_that_another_listener_of_the_proxy_has_stays_with_that():
    stand = Stand(("10.0.0.1",), "shop", (), frozenset({("10.0.0.1", 80)}))
    assert [] == listening(web(endpoint("10.0.0.1")), stand)


def test_datagrams_are_not_listened_for():
    assert [] == listening(web(endpoint("10.0.0.1"), ports=(Port("dns", 53, Protocol.UDP),)))


WITH_AGENT = Stand(("10.0.0.1",), "shop", trust_domain="mesh.example")


def said(made: World, *modes: InboundTls) -> World:
    statements = (Inbound(name=mode, namespace="shop", mode=mode) for mode in modes)
    after, _ = made.apply({}, {}, {s.key: (Claim("file", "f", s),) for s in statements})
    return after


def callers(made: World, stand: Stand = WITH_AGENT) -> list[CallersView | None]:
    return [view.callers for view in inbound.listeners(made, stand)]


def test_without_a_word_everybody_may_connect_and_who_can_shows_a_certificate():
    made = web(endpoint("10.0.0.1"))
    assert [CallersView("mesh.example", plaintext=True)] == callers(made)
    assert [None] == callers(made, HERE)


def test_strict_is_for_those_with_a_certificate():
    made = said(web(endpoint("10.0.0.1")), InboundTls.STRICT)
    assert [CallersView("mesh.example", plaintext=False)] == callers(made)


def test_disabled_is_plaintext_whatever_else_is_possible():
    made = said(web(endpoint("10.0.0.1")), InboundTls.DISABLED)
    assert [None] == callers(made) == callers(made, HERE)


def test_who_has_no_certificate_does_not_serve_what_only_certificates_may_reach():
    made = said(web(endpoint("10.0.0.1"), endpoint("10.0.0.2")), InboundTls.STRICT)
    assert [] == callers(made, HERE)
    assert ("10.0.0.1:80",) == inbound.unserved(made, HERE)
    assert () == inbound.unserved(made, WITH_AGENT)
    assert () == inbound.unserved(web(endpoint("10.0.0.1")), HERE)


def test_two_services_on_one_port_are_as_strict_as_the_stricter_one():
    made = world(
        service("a.shop.mesh"),
        service("b.shop.mesh"),
        a=[endpoint("10.0.0.1", workload="a")],
        b=[endpoint("10.0.0.1", workload="b")],
    )
    one = Inbound(name="b", namespace="shop", workload="b", mode=InboundTls.STRICT)
    made, _ = made.apply({}, {}, {one.key: (Claim("file", "f", one),)})
    assert [CallersView("mesh.example", plaintext=False)] == callers(made)
