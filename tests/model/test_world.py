from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pilot_core.model import Endpoint, MeshService, Port, Service, Shard, World

HOSTS = st.sampled_from(["a.x", "b.x", "c.y"])
NAMESPACES = st.sampled_from(["one", "two", "three"])
SERVICES = st.builds(
    Service,
    hostname=HOSTS,
    namespace=NAMESPACES,
    visibility=st.sampled_from([("*",), (".",), ("two",), (".", "three"), ("one", "two")]),
)
ENDPOINTS = st.builds(
    Endpoint,
    addresses=st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2", "::1"]), min_size=1).map(tuple),
    weight=st.integers(0, 2),
)
SHARDS = st.lists(ENDPOINTS, max_size=3).map(lambda es: (Shard("r", "s", tuple(es)),) if es else ())
STEPS = st.lists(
    st.tuples(
        st.lists(st.one_of(SERVICES, HOSTS), max_size=3), st.dictionaries(HOSTS, SHARDS, max_size=3)
    ),
    max_size=6,
)


def mesh(service: Service) -> MeshService:
    return MeshService(service, ("r",))


def service(hostname: str, **fields: object) -> MeshService:
    return mesh(Service(hostname=hostname, **fields))


def shard(*addresses: str, source: str = "s") -> tuple[Shard, ...]:
    return (Shard("r", source, tuple(Endpoint(addresses=(a,)) for a in addresses)),)


def one_by_one(steps) -> World:
    world = World()
    for services, endpoints in steps:
        changed = {s if isinstance(s, str) else s.hostname: s for s in services}
        world, _ = world.apply(
            {h: None if isinstance(s, str) else mesh(s) for h, s in changed.items()}, endpoints
        )
    return world


def seen(world: World) -> dict[str, object]:
    addresses = ("10.0.0.1", "10.0.0.2", "::1")
    namespaces = ("one", "two", "three")
    return {
        "services": dict(world.services.items()),
        "endpoints": dict(world.endpoints.items()),
        "at": {a: world.hostnames_at(a) for a in addresses},
        "in": {n: world.hostnames_in(n) for n in namespaces},
        "private": {n: world.private_to(n) for n in namespaces},
        "public": sorted(s.service.hostname for s in world.public()),
    }


@given(STEPS)
def test_the_indexes_of_a_world_with_a_history_are_those_of_one_made_at_once(steps):
    with_history = one_by_one(steps)
    at_once, _ = World().apply(
        dict(with_history.services.items()), dict(with_history.endpoints.items())
    )
    assert seen(at_once) == seen(with_history)


@given(STEPS)
def test_a_delta_names_exactly_what_differs(steps):
    before = World()
    for n in range(1, len(steps) + 1):
        after = one_by_one(steps[:n])
        services, endpoints = steps[n - 1]
        changed = {s if isinstance(s, str) else s.hostname: s for s in services}
        _, delta = before.apply(
            {h: None if isinstance(s, str) else mesh(s) for h, s in changed.items()}, endpoints
        )
        put, dropped = after.services.diff(before.services)
        assert put.keys() | set(dropped) == delta.services
        put_endpoints, dropped_endpoints = after.endpoints.diff(before.endpoints)
        assert put_endpoints.keys() | set(dropped_endpoints) == delta.endpoints
        before = after


def test_an_equal_value_is_no_change_and_the_world_stays_the_same_object():
    world, _ = World().apply({"a.x": service("a.x")}, {"a.x": shard("10.0.0.1")})
    again, delta = world.apply({"a.x": service("a.x")}, {"a.x": shard("10.0.0.1")})
    assert world is again
    assert not delta


def test_a_service_that_only_moved_to_another_line_is_the_same_service():
    from pilot_core.model import Origin

    first = Service(hostname="a.x", origin=Origin("shop.yaml:1:3"))
    moved = msgspec.structs.replace(first, origin=Origin("shop.yaml:9:3"))
    world, _ = World().apply({"a.x": mesh(first)}, {})
    _, delta = world.apply({"a.x": mesh(moved)}, {})
    assert first == moved
    assert not delta


def test_a_changed_endpoint_touches_its_own_address_and_no_other():
    world, _ = World().apply({}, {"a.x": shard("10.0.0.1", "10.0.0.2")})
    changed = (
        Shard(
            "r",
            "s",
            (Endpoint(addresses=("10.0.0.1",)), Endpoint(addresses=("10.0.0.2",), weight=7)),
        ),
    )
    _, delta = world.apply({}, {"a.x": changed})
    assert {"10.0.0.2"} == delta.addresses


def test_a_changed_service_touches_every_address_behind_it():
    world, _ = World().apply({"a.x": service("a.x")}, {"a.x": shard("10.0.0.1", "10.0.0.2")})
    ports = (Port("http", 80),)
    _, delta = world.apply({"a.x": service("a.x", ports=ports)}, {})
    assert {"10.0.0.1", "10.0.0.2"} == delta.addresses


def test_endpoints_may_come_before_their_service_and_outlive_it():
    world, _ = World().apply({}, {"a.x": shard("10.0.0.1")})
    assert world.hostnames_at("10.0.0.1") == ["a.x"]
    world, _ = world.apply({"a.x": service("a.x")}, {})
    world, _ = world.apply({"a.x": None}, {})
    assert world.service("a.x") is None
    assert [e.address for e in world.endpoints_of("a.x")] == ["10.0.0.1"]
