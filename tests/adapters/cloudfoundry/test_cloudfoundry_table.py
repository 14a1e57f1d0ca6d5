"""The accept rules of the table, with values."""

from __future__ import annotations

from pilot_adapter_cloudfoundry.messages import Start
from pilot_adapter_cloudfoundry.route import Route, Uri
from pilot_adapter_cloudfoundry.table import Table

CART, CART2 = Uri("cart.example.com"), Uri("cart2.example.com")


def route(id: str, port: int = 61001, host: str = "10.0.16.10") -> Route:
    return Route(id=id, host=host, port=port, tls_name=id)


def ids(table: Table, found: Uri = CART) -> list[str]:
    return [route.id for route in table.pools(found.host).get(found.path, ())]


def test_a_route_that_nobody_repeats_ends_though_it_speaks_tls() -> None:
    table = Table(ttl=120)
    table.register((CART,), route("i0"), 0)
    table.register((CART,), route("i1", 61002), 0)

    table.register((CART,), route("i0"), 100)
    table.expire(119)
    assert ["i0", "i1"] == ids(table)
    assert 1 == table.expire(120)
    assert ["i0"] == ids(table)


def test_nothing_ends_for_a_lifetime_after_nobody_has_listened() -> None:
    table = Table(ttl=120)
    table.register((CART,), route("i0"), 0)

    table.restamp(600)
    assert 0 == table.expire(719)
    assert 1 == table.expire(720)
    assert {} == table.pools(CART.host)


def test_a_message_can_shorten_its_life_and_not_prolong_it() -> None:
    table = Table(ttl=120)
    table.register((CART,), route("i0"), 0, lifetime=30)
    table.register((CART,), route("i1", 61002), 0, lifetime=600)

    assert 1 == table.expire(30)
    assert ["i1"] == ids(table)
    assert 1 == table.expire(120)


def test_a_router_says_how_long_to_wait() -> None:
    table = Table(ttl=120)
    table.begin(Start(interval=20, prune=30))
    assert (20, 60) == (table.interval, table.ttl)
    table.begin(Start(interval=20, prune=240))
    assert 240 == table.ttl
    table.begin(Start())
    assert 240 == table.ttl


def test_an_unregister_of_another_instance_removes_nothing() -> None:
    table = Table(ttl=120)
    table.register((CART,), route("i1b"), 0)

    table.unregister((CART,), "i1", route("i1").address)
    assert ["i1b"] == ids(table)
    table.unregister((CART,), "i1b", ("10.0.16.10", 61009))
    assert ["i1b"] == ids(table)
    table.unregister((CART,), "i1b", route("i1b").address)
    assert [] == ids(table)


def test_an_unregister_that_names_no_instance_is_believed() -> None:
    table = Table(ttl=120)
    table.register((CART,), route("i1"), 0)
    table.unregister((CART,), "", route("i1").address)
    assert [] == ids(table)


def test_who_is_new_at_an_address_takes_it_under_every_uri() -> None:
    table = Table(ttl=120)
    table.register((CART, CART2), route("i1"), 0)
    table.changed.clear()

    table.register((CART,), route("i1b"), 1)
    assert ["i1b"] == ids(table)
    assert [] == ids(table, CART2)
    assert {CART.host, CART2.host} == table.changed


def test_what_is_only_repeated_changes_nothing() -> None:
    table = Table(ttl=120)
    table.register((CART,), route("i1"), 0)
    table.changed.clear()
    table.register((CART,), route("i1"), 20)
    assert set() == table.changed


def test_what_cannot_be_used_removes_nothing_and_is_remembered_until_it_is_sound() -> None:
    table = Table(ttl=120)
    table.register((CART,), route("i1"), 0)
    table.refuse((CART,), "i1", "port 0", 1)
    assert (["i1"], ("port 0",)) == (ids(table), table.reasons(CART.host))

    table.accept((CART,), "i1")
    assert () == table.reasons(CART.host)
    table.refuse((CART,), "i1", "port 0", 1)
    table.expire(121)
    assert () == table.reasons(CART.host)
    assert [] == list(table.names)


def test_an_instance_serves_one_uri_on_two_ports() -> None:
    table = Table(ttl=120)
    table.register((CART,), route("i1", 61001), 0)
    table.register((CART,), route("i1", 61002), 0)
    assert ["i1", "i1"] == ids(table)
    assert 2 == len(table)


def test_uris_are_matched_in_lower_case_and_without_a_query() -> None:
    assert Uri("shop.example.com", "/api/v1") == Uri.parse("Shop.example.com/API/v1/?a=b")
    assert Uri("shop.example.com") == Uri.parse("shop.example.com/")
