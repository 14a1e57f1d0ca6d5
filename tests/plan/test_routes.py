"""Who may be called by which name."""

from __future__ import annotations

from pilot_core.model import Port, Service
from pilot_core.plan import routes
from worlds import service, world


def domains(*services: Service, namespace: str = "shop") -> dict[str, tuple[str, ...]]:
    return {
        host.name: host.domains for host in routes.for_namespace(world(*services), namespace).hosts
    }


def test_a_service_answers_to_its_hostname_and_inside_its_namespace_to_its_first_label():
    one = service("reviews.shop.mesh")
    wanted = ("reviews.shop.mesh", "reviews.shop.mesh:80", "reviews", "reviews:80")
    assert {"reviews.shop.mesh:80": wanted} == domains(one)
    assert {"reviews.shop.mesh:80": wanted[:2]} == domains(one, namespace="bank")


def test_a_short_name_that_two_would_have_belongs_to_nobody():
    found = domains(service("a.x.mesh"), service("a.y.mesh"))
    assert {
        "a.x.mesh:80": ("a.x.mesh", "a.x.mesh:80"),
        "a.y.mesh:80": ("a.y.mesh", "a.y.mesh:80"),
    } == found


def test_a_service_that_speaks_no_http_does_not_take_a_short_name_away():
    found = domains(service("a.x.mesh"), service("a.y.mesh", ports=(Port("db", 5432),)))
    assert ("a.x.mesh", "a.x.mesh:80", "a", "a:80") == found["a.x.mesh:80"]


def test_a_whole_hostname_is_worth_more_than_a_short_one():
    found = domains(service("web.shop.mesh"), service("web", namespace="bank"))
    assert ("web", "web:80") == found["web:80"]
    assert ("web.shop.mesh", "web.shop.mesh:80") == found["web.shop.mesh:80"]


def test_a_hostname_that_is_not_seen_here_takes_no_short_name_away():
    hidden = service("web", namespace="bank", visibility=(".",))
    assert ("web", "web:80") == domains(service("web.shop.mesh"), hidden)["web.shop.mesh:80"][2:]


def test_a_hostname_of_one_label_has_no_shorter_name():
    assert {"web:80": ("web", "web:80")} == domains(service("web"))


def test_wildcards_have_no_short_name():
    assert {"*.shop.mesh:80": ("*.shop.mesh", "*.shop.mesh:80")} == domains(service("*.shop.mesh"))


def test_private_services_are_in_the_routes_of_those_who_see_them_only():
    lent = service("a.bank.mesh", namespace="bank", visibility=(".", "shop"))
    assert ["a.bank.mesh:80"] == list(domains(lent))
    assert ["a.bank.mesh:80"] == list(domains(lent, namespace="bank"))
    assert [] == list(domains(lent, namespace="default"))


def test_a_namespace_that_does_not_see_its_own_service_has_no_route_to_it():
    given_away = service("a.bank.mesh", namespace="bank", visibility=("shop",))
    assert {} == domains(given_away, namespace="bank")
    assert {"a.bank.mesh:80": ("a.bank.mesh", "a.bank.mesh:80")} == domains(given_away)


def test_namespaces_share_the_hosts_of_the_others():
    here = world(service("a.shop.mesh"), service("b.bank.mesh", namespace="bank"))
    shop, default = (routes.for_namespace(here, name) for name in ("shop", "default"))
    shared = [group for group in shop.groups if any(group is other for other in default.groups)]
    assert ["b.bank.mesh:80"] == [host.name for group in shared for host in group.hosts]
