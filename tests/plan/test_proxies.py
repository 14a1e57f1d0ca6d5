"""Which layers a proxy is made of, by what it says of itself."""

from __future__ import annotations

import pytest

from pilot_core.model import Locality, Port, Protocol, Proxy, ProxyKind
from pilot_core.plan import layers
from pilot_core.plan.proxies import plan
from pilot_core.plan.views import Direction, ForwardListenerView
from worlds import service, world


def http_listener(proxy: Proxy) -> tuple[str, int, Direction]:
    key = next(k for k in plan(proxy).listeners if isinstance(k, layers.HttpListener))
    return key.address, key.port, key.direction


def explicit(proxy: Proxy, *services) -> list[tuple[str, int, str, bool]]:
    return [
        (view.address, view.port, view.cluster, view.http)
        for key in plan(proxy).listeners
        if isinstance(key, layers.ExplicitListeners)
        for view in key.views(world(*services))
        if isinstance(view, ForwardListenerView)
    ]


def asking(*pairs: tuple[str, str], **more: object) -> Proxy:
    return Proxy(id="p", namespace="shop", outbound=pairs, **more)  # type: ignore[arg-type]


BILLING = service("billing.bank.mesh", namespace="bank", ports=(Port("db", 5432),))
REVIEWS = service("reviews.shop.mesh")


def test_a_sidecar_routes_http_on_loopback_unless_it_says_where():
    assert ("127.0.0.1", 15001, Direction.OUTBOUND) == http_listener(Proxy(id="p"))
    moved = Proxy(id="p", http_listener="[::1]:8000")
    assert ("::1", 8000, Direction.OUTBOUND) == http_listener(moved)
    rubbish = Proxy(id="p", http_listener="a:b")
    assert ("127.0.0.1", 15001, Direction.OUTBOUND) == http_listener(rubbish)


def test_a_gateway_listens_to_strangers_and_takes_nothing_in_for_a_workload():
    gateway = Proxy(id="p", kind=ProxyKind.ROUTER, addresses=("10.0.0.1",))
    assert ("0.0.0.0", 8080, Direction.GATEWAY) == http_listener(gateway)
    kinds = {type(key) for key in plan(gateway).keys}
    assert set() == kinds & {layers.InboundListeners, layers.InboundClusters}


def test_a_grpc_library_gets_listeners_for_its_targets_and_no_others():
    made = plan(Proxy(id="p", kind=ProxyKind.GRPC, namespace="shop"))
    assert (layers.ApiListeners("shop"),) == made.listeners
    assert () == made.routes


def test_a_grpc_library_may_leave_out_the_port_of_a_service_that_has_one():
    key = layers.ApiListeners("shop")
    two = service("two.shop.mesh", ports=(Port("a", 1, Protocol.GRPC), Port("b", 2)))
    found = [view.name for view in key.views(world(REVIEWS, two))]
    assert {"reviews.shop.mesh", "reviews.shop.mesh:80", "two.shop.mesh:1", "two.shop.mesh:2"} == (
        set(found)
    )


@pytest.mark.parametrize(
    ("pair", "wanted"),
    [
        (
            ("9001", "billing.bank.mesh:5432"),
            ("127.0.0.1", 9001, "outbound|5432||billing.bank.mesh", False),
        ),
        (
            ("10.0.0.1:9001", "Reviews.Shop.Mesh:80"),
            ("10.0.0.1", 9001, "outbound|80||reviews.shop.mesh", True),
        ),
        (("9001", "reviews:80"), ("127.0.0.1", 9001, "outbound|80||reviews.shop.mesh", True)),
    ],
)
def test_a_listener_of_its_own_for_one_service(pair, wanted):
    assert [wanted] == explicit(asking(pair), BILLING, REVIEWS)


@pytest.mark.parametrize(
    "pair",
    [
        ("9001", "nobody.shop.mesh:80"),
        ("9001", "reviews.shop.mesh:81"),
        ("9001", "reviews.shop.mesh"),
        ("9001", "billing:5432"),
        ("9001", ":80"),
        ("9001", "reviews.shop.mesh:" + "9" * 5000),
        ("9" * 5000, "reviews.shop.mesh:80"),
        ("", "reviews.shop.mesh:80"),
        ("127.0.0.1:15001", "reviews.shop.mesh:80"),
    ],
)
def test_what_is_unknown_or_cannot_be_has_no_listener(pair):
    assert [] == explicit(asking(pair), BILLING, REVIEWS)


def test_a_short_name_that_two_have_is_nobody_s():
    other = service("reviews.eu.mesh")
    assert [] == explicit(asking(("9001", "reviews:80")), REVIEWS, other)


def test_one_address_asked_for_twice_is_one_listener():
    twice = asking(("127.0.0.1:9001", "billing.bank.mesh:5432"), ("9001", "reviews:80"))
    found = explicit(twice, BILLING, REVIEWS)
    assert ["outbound|5432||billing.bank.mesh"] == [cluster for _, _, cluster, _ in found]


def test_a_place_without_a_region_is_no_place():
    assert plan(Proxy(id="p", locality=Locality("", "a"))) == plan(Proxy(id="p"))


def test_proxies_that_differ_in_name_only_have_one_plan():
    one = Proxy(id="a", workload="w", labels=(("x", "1"),), version="1.40.0")
    assert plan(one) == plan(Proxy(id="b"))
