"""Which ids callers expect behind a port."""

from __future__ import annotations

import pytest

from pilot_core.model import Inbound, InboundTls, Port, TlsMode
from pilot_core.model.inbound import InboundRules
from pilot_core.plan import identities
from worlds import endpoint, service

HTTP = Port("http", 80)
SHOP = service("reviews.shop.mesh")


def mutual(**more):
    return endpoint("10.0.0.1", tls=TlsMode.MUTUAL, **more)


def behind(*endpoints, of=SHOP, port=HTTP):
    return identities.behind(endpoints, of, port, "mesh.example")


def test_namespace_and_account_make_the_id():
    assert ("spiffe://mesh.example/ns/shop/sa/reviews",) == behind(
        mutual(service_account="reviews")
    )


def test_without_an_account_it_is_the_default_one():
    assert ("spiffe://mesh.example/ns/shop/sa/default",) == behind(mutual())


def test_an_id_that_the_platform_states_is_taken_as_it_is():
    stated = "spiffe://elsewhere.example/app/7"
    assert (stated,) == behind(mutual(identity=stated, service_account="reviews"))


def test_the_ids_of_a_service_come_on_top_but_never_alone():
    both = service("reviews.shop.mesh", identities=("spiffe://mesh.example/old",))
    assert (
        "spiffe://mesh.example/ns/shop/sa/default",
        "spiffe://mesh.example/old",
    ) == behind(mutual(), of=both)
    assert () == behind(endpoint("10.0.0.1"), of=both)


def test_who_does_not_serve_the_port_has_no_say():
    elsewhere = mutual(ports=(("admin", 81),), service_account="admin")
    assert ("spiffe://mesh.example/ns/shop/sa/web",) == behind(
        elsewhere, mutual(ports=(("http", 80),), service_account="web")
    )


def test_an_account_stands_there_once_and_in_order():
    accounts = ("b", "a", "b")
    assert (
        "spiffe://mesh.example/ns/shop/sa/a",
        "spiffe://mesh.example/ns/shop/sa/b",
    ) == behind(*(mutual(service_account=a) for a in accounts))


@pytest.mark.parametrize(
    ("said", "spoken"),
    [
        (InboundTls.STRICT, (TlsMode.PLAIN, TlsMode.MUTUAL)),
        (InboundTls.PERMISSIVE, (TlsMode.PLAIN, TlsMode.MUTUAL)),
        (InboundTls.DISABLED, (TlsMode.PLAIN, TlsMode.PLAIN)),
    ],
)
def test_a_strict_namespace_has_endpoints_beyond_the_mesh_and_a_disabled_one_has_no_tls(
    said, spoken
):
    rules = InboundRules([Inbound(name="*", mode=said)])
    both = (endpoint("10.0.0.1"), mutual())
    assert spoken == tuple(identities.tls(one, SHOP, 80, rules) for one in both)
