"""What callers get for one service: ports, places, and who of the doubled endpoints counts."""

from __future__ import annotations

import pytest

from pilot_core.model import (
    NO_LOCALITY,
    Endpoint,
    Health,
    Locality,
    MeshService,
    Port,
    Protocol,
    Resolution,
    Shard,
    World,
)
from pilot_core.plan import outbound
from pilot_core.plan.views import Discovery, EndpointView
from worlds import endpoint, service, world

NAME = "reviews.shop.mesh"


def places(*endpoints: Endpoint, near: Locality = NO_LOCALITY, **more: object):
    """(locality, priority, addresses) of the first port's load assignment."""
    offered = service(NAME, **more)
    made = outbound.load_assignments(world(offered, reviews=endpoints), offered, near)
    return [
        (str(view.locality), view.priority, [e.addresses[0] for e in view.endpoints])
        for view in made[0].localities
    ]


def views(*endpoints: Endpoint, **more: object) -> list[EndpointView]:
    offered = service(NAME, **more)
    made = outbound.load_assignments(world(offered, reviews=endpoints), offered, NO_LOCALITY)
    return [e for locality in made[0].localities for e in locality.endpoints]


def at(address: str, place: str = "", **more: object) -> Endpoint:
    return endpoint(address, locality=Locality.parse(place), **more)


def test_the_nearest_places_come_first_and_priorities_have_no_gaps():
    assert [("eu/a", 0, ["10.0.0.1"]), ("us", 1, ["10.0.0.2"])] == places(
        at("10.0.0.2", "us"), at("10.0.0.1", "eu/a"), near=Locality("eu", "a")
    )


def test_every_level_of_the_place_is_a_priority_of_its_own():
    found = places(
        *(at("10.0.0.1", "eu/a/1"), at("10.0.0.2", "eu/a/2"), at("10.0.0.3", "eu/b")),
        at("10.0.0.4", "us/a"),
        near=Locality("eu", "a", "1"),
    )
    assert [0, 1, 2, 3] == [priority for _, priority, _ in found]


def test_without_a_place_of_its_own_everything_is_equally_far():
    assert {0} == {p for _, p, _ in places(at("10.0.0.1", "eu"), at("10.0.0.2", "us"))}


def test_places_that_are_unknown_below_some_level_are_one():
    odd = Locality("", "a"), Locality("", "", "1"), NO_LOCALITY
    endpoints = (endpoint(f"10.0.0.{n}", locality=place) for n, place in enumerate(odd, 1))
    assert [("", 0, ["10.0.0.1", "10.0.0.2", "10.0.0.3"])] == places(*endpoints)


def test_endpoints_are_sorted_by_address_whatever_their_order():
    assert [("", 0, ["10.0.0.1", "10.0.0.2"])] == places(at("10.0.0.2"), at("10.0.0.1"))


def test_an_address_that_two_registries_name_is_taken_from_the_first():
    first = Shard("a", "s", (endpoint("10.0.0.1", weight=5),))
    second = Shard("b", "s", (endpoint("10.0.0.1", weight=1), endpoint("10.0.0.2")))
    offered = service(NAME)
    made, _ = World().apply({NAME: MeshService(offered, ("a", "b"))}, {NAME: (first, second)})
    found = outbound.load_assignments(made, offered, NO_LOCALITY)[0].localities[0].endpoints
    assert [("10.0.0.1", 5), ("10.0.0.2", 1)] == [(e.addresses[0], e.weight) for e in found]


def test_weight_zero_of_the_first_registry_keeps_the_address_out():
    first = Shard("a", "s", (endpoint("10.0.0.1", weight=0),))
    second = Shard("b", "s", (endpoint("10.0.0.1", weight=1),))
    offered = service(NAME)
    made, _ = World().apply({NAME: MeshService(offered, ("a", "b"))}, {NAME: (first, second)})
    assert () == outbound.load_assignments(made, offered, NO_LOCALITY)[0].localities


def test_one_address_with_two_ports_is_two_endpoints():
    doubled = (at("10.0.0.1", ports=(("http", 1),)), at("10.0.0.1", ports=(("http", 2),)))
    assert [1, 2] == [view.port for view in views(*doubled)]


def test_health_is_handed_on():
    assert [Health.DRAINING] == [v.health for v in views(endpoint("10.0.0.1", health="draining"))]


def test_an_endpoint_that_does_not_have_the_port_is_not_there():
    assert [] == views(endpoint("10.0.0.1", ports=(("admin", 9000),)))


def test_a_unix_socket_has_no_port_number():
    assert [EndpointView(("unix:///run/a.sock",), 0, Health.HEALTHY, 1)] == views(
        endpoint("unix:///run/a.sock")
    )


def test_addresses_of_other_families_go_along():
    both = Endpoint(addresses=("10.0.0.1", "fd00::1"))
    assert [("10.0.0.1", "fd00::1")] == [view.addresses for view in views(both)]


@pytest.mark.parametrize(
    "address", ["10.0.0.300", "", "example.com", "fe80::1%eth0", "unix://relative", "10.0.0.1:80"]
)
def test_what_is_no_address_is_left_out(address):
    assert [] == views(endpoint(address))


@pytest.mark.parametrize(
    ("resolution", "discovery"),
    [
        (Resolution.STATIC, Discovery.EDS),
        (Resolution.DNS, Discovery.DNS),
        (Resolution.PASSTHROUGH, Discovery.ORIGINAL_DESTINATION),
    ],
)
def test_the_resolution_decides_how_a_cluster_finds_its_endpoints(resolution, discovery):
    offered = service(NAME, resolution=resolution)
    assert [discovery] == [view.discovery for view in outbound.clusters(world(offered), offered)]


def test_only_static_services_have_load_assignments():
    for resolution in (Resolution.DNS, Resolution.PASSTHROUGH):
        offered = service(NAME, resolution=resolution)
        assert () == outbound.load_assignments(world(offered), offered, NO_LOCALITY)


def test_dns_names_are_part_of_the_cluster():
    offered = service(NAME, resolution=Resolution.DNS)
    found = outbound.clusters(world(offered, reviews=[endpoint("db.example.com")]), offered)
    assert ("db.example.com",) == found[0].localities[0].endpoints[0].addresses


def test_the_bare_hostname_is_that_of_port_80_where_it_speaks_http():
    ports = (Port("a", 8080, Protocol.HTTP), Port("b", 80, Protocol.HTTP))
    found = outbound.virtual_hosts(service(NAME, ports=ports))
    assert [(f"{NAME}:8080",), (NAME, f"{NAME}:80")] == [host.domains for host in found]


def test_the_bare_hostname_is_else_that_of_the_first_http_port():
    ports = (Port("raw", 80), Port("a", 8080, Protocol.HTTP), Port("b", 8081, Protocol.GRPC))
    found = outbound.virtual_hosts(service(NAME, ports=ports))
    assert [(NAME, f"{NAME}:8080"), (f"{NAME}:8081",)] == [host.domains for host in found]
