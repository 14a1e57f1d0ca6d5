"""Layers: applying changes one by one always ends where building anew would."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pilot_core.model import (
    NO_LOCALITY,
    Claim,
    Delta,
    Endpoint,
    Inbound,
    InboundTls,
    MeshService,
    Port,
    Protocol,
    Proxy,
    Resolution,
    Roots,
    Shard,
    TlsMode,
    World,
)
from pilot_core.plan import layers
from pilot_core.plan.layers import LayerKey
from pilot_core.plan.proxies import plan
from pilot_core.plan.triggers import of_change as triggers
from pilot_core.plan.views import EndpointsView, View
from worlds import changes, endpoint, proxies, service, world

EVERY_PROXY = Proxy(
    id="p",
    addresses=("10.0.0.1",),
    namespace="shop",
    outbound=(("9001", "reviews.shop.mesh:80"),),
)


def built(key: LayerKey, world: World) -> dict[str, View]:
    return {view.name: view for view in key.views(world)}


def applied(held: dict[str, View], key: LayerKey, old: World, new: World, delta: Delta):
    """The layer after the change, as a fleet keeps it: asked only if it watches what changed."""
    if not key.watches & triggers(old, new, delta):
        return held
    change = key.changes(old, new, delta)
    after = {**held, **{view.name: view for view in change.put}}
    return {name: view for name, view in after.items() if name not in change.drop}


@settings(max_examples=80, deadline=None)
@given(proxies, st.lists(changes(), min_size=1, max_size=4))
def test_changes_applied_one_by_one_make_the_layer_of_the_new_world(proxy, schedule):
    keys = plan(proxy).keys
    now = World()
    held = {key: built(key, now) for key in keys}
    for change in schedule:
        after, delta = now.apply(*change)
        for key in keys:
            held[key] = applied(held[key], key, now, after, delta)
            assert built(key, after) == held[key]
        now = after


@settings(max_examples=40, deadline=None)
@given(proxies, changes(), changes())
def test_a_change_names_no_view_that_is_as_it_was(proxy, first, second):
    old, _ = World().apply(*first)
    new, delta = old.apply(*second)
    for key in plan(proxy).keys:
        if isinstance(key, layers.HttpRoutes):
            continue  # one resource: the layer finds out that it is equal
        before = built(key, old)
        change = key.changes(old, new, delta)
        assert [] == [view for view in change.put if before.get(view.name) == view]
        assert [] == [name for name in change.drop if name not in before]


def touched_types(old: World, new: World, delta: Delta, proxy: Proxy = EVERY_PROXY) -> set[str]:
    found = set()
    for key in plan(proxy).keys:
        if key.watches & triggers(old, new, delta):
            change = key.changes(old, new, delta)
            found |= {key.type} if change.put or change.drop else set()
    return found


def test_an_endpoint_only_change_makes_views_of_endpoints_only():
    old = world(service("reviews.shop.mesh"), reviews=[endpoint("10.0.0.7")])
    moved = {"reviews.shop.mesh": (Shard("file", "f", (endpoint("10.0.0.8"),)),)}
    new, delta = old.apply({}, moved)
    assert {layers.ENDPOINTS} == touched_types(old, new, delta)


def test_endpoints_that_are_dns_names_are_part_of_their_cluster():
    by_name = service("api.example.com", resolution=Resolution.DNS)
    old = world(by_name, api=[endpoint("a.example.com")])
    moved = {"api.example.com": (Shard("file", "f", (endpoint("b.example.com"),)),)}
    new, delta = old.apply({}, moved)
    assert {layers.CLUSTER} == touched_types(old, new, delta)


WITH_AGENT = msgspec.structs.replace(EVERY_PROXY, has_agent=True)


def mutual(address: str, account: str) -> Endpoint:
    return endpoint(address, tls=TlsMode.MUTUAL, service_account=account)


def moved_to(old: World, *endpoints: Endpoint) -> tuple[World, Delta]:
    return old.apply({}, {"reviews.shop.mesh": (Shard("file", "f", endpoints),)})


def test_an_endpoint_of_a_known_identity_makes_views_of_endpoints_only():
    old = world(service("reviews.shop.mesh"), reviews=[mutual("10.0.0.7", "reviews")])
    both = (mutual("10.0.0.7", "reviews"), mutual("10.0.0.8", "reviews"))
    assert {layers.ENDPOINTS} == touched_types(old, *moved_to(old, *both), WITH_AGENT)


def test_another_identity_is_another_cluster_for_those_who_can_look_at_it():
    old = world(service("reviews.shop.mesh"), reviews=[mutual("10.0.0.7", "reviews")])
    new, delta = moved_to(old, mutual("10.0.0.7", "reviews"), mutual("10.0.0.8", "canary"))
    assert {layers.ENDPOINTS, layers.CLUSTER} == touched_types(old, new, delta, WITH_AGENT)
    assert {layers.ENDPOINTS} == touched_types(old, new, delta)


def test_a_name_that_an_endpoint_has_to_present_makes_views_of_endpoints_only():
    def named(address: str, name: str) -> Endpoint:
        return endpoint(address, tls_name=name, tls_roots="cf")

    old = world(service("reviews.shop.mesh"), reviews=[named("10.0.0.7", "guid-1")])
    new, delta = moved_to(old, named("10.0.0.7", "guid-2"), named("10.0.0.8", "guid-3"))
    assert {layers.ENDPOINTS} == touched_types(old, new, delta)


def test_what_nobody_could_check_gets_no_requests():
    here = world(
        service("reviews.shop.mesh"),
        reviews=[endpoint("10.0.0.7", tls_name="guid"), endpoint("10.0.0.8")],
    )
    [view] = layers.PublicEndpoints(NO_LOCALITY).views(here)
    assert isinstance(view, EndpointsView)
    assert [("10.0.0.8",)] == [e.addresses for at in view.localities for e in at.endpoints]


def test_changed_roots_change_the_secrets_and_nothing_else():
    old = world(service("reviews.shop.mesh"), reviews=[endpoint("10.0.0.7")])
    record = Roots(name="cf", certificates="PEM")
    new, delta = old.apply({}, {}, {record.key: (Claim("cf", "roots", record),)})
    assert {layers.SECRET} == touched_types(old, new, delta)
    assert ["roots/cf"] == [view.name for view in layers.TrustedRoots().views(new)]


def said(old: World, mode: InboundTls) -> tuple[World, Delta]:
    one = Inbound(name="shop", namespace="shop", mode=mode)
    return old.apply({}, {}, {one.key: (Claim("file", "f", one),)})


ELSEWHERE = msgspec.structs.replace(WITH_AGENT, namespace="bank", addresses=())


def test_who_may_connect_is_the_business_of_the_namespace_s_own_sidecars():
    old = world(service("reviews.shop.mesh"), reviews=[mutual("10.0.0.1", "reviews")])
    new, delta = said(old, InboundTls.STRICT)
    assert {layers.LISTENER} == touched_types(old, new, delta, WITH_AGENT)
    # Who has no certificate serves it no longer.
    assert {layers.LISTENER} == touched_types(old, new, delta)
    assert set() == touched_types(old, new, delta, ELSEWHERE)


def test_that_nobody_may_connect_by_tls_is_the_business_of_callers_too():
    old = world(service("reviews.shop.mesh"), reviews=[mutual("10.0.0.1", "reviews")])
    new, delta = said(old, InboundTls.DISABLED)
    both = {layers.CLUSTER, layers.ENDPOINTS}
    assert {*both, layers.LISTENER} == touched_types(old, new, delta, WITH_AGENT)
    assert both == touched_types(old, new, delta, ELSEWHERE)
    assert set() == touched_types(old, new, delta)


def test_one_changed_service_among_many_makes_the_views_of_that_service():
    many = [service(f"s{n}.shop.mesh") for n in range(50)]
    old = world(*many)
    changed = service("s7.shop.mesh", ports=(Port("rpc", 90, Protocol.GRPC),))
    new, delta = old.apply({"s7.shop.mesh": MeshService(changed, ("file",))}, {})
    change = layers.PublicClusters().changes(old, new, delta)
    assert ["outbound|90||s7.shop.mesh"] == [view.name for view in change.put]
    assert ("outbound|80||s7.shop.mesh",) == change.drop


def test_a_service_that_becomes_private_moves_from_one_layer_to_another():
    old = world(service("a.shop.mesh"))
    private = service("a.shop.mesh", visibility=(".",))
    new, delta = old.apply({"a.shop.mesh": MeshService(private, ("file",))}, {})
    name = "outbound|80||a.shop.mesh"
    assert (name,) == layers.PublicClusters().changes(old, new, delta).drop
    put = layers.PrivateClusters("shop").changes(old, new, delta).put
    assert [name] == [view.name for view in put]


def test_a_service_that_this_namespace_does_not_see_leaves_its_routes_alone():
    old = world(service("a.shop.mesh"))
    hidden = service("a", namespace="bank", visibility=(".",))
    new, delta = old.apply({"a": MeshService(hidden, ("file",))}, {})
    routes = layers.HttpRoutes("shop")
    assert not routes.watches & triggers(old, new, delta)
    assert layers.Changes() == routes.changes(old, new, delta)


def test_equal_keys_make_equal_layers_whoever_asks():
    here = world(service("a.shop.mesh"), a=[endpoint("10.0.0.7")])
    first, second = plan(EVERY_PROXY), plan(EVERY_PROXY)
    assert first == second
    assert hash(first) == hash(second)
    assert [built(k, here) for k in first.keys] == [built(k, here) for k in second.keys]


def test_proxies_without_a_region_share_their_endpoints_with_those_that_say_nothing():
    assert layers.PublicEndpoints(NO_LOCALITY) in plan(Proxy(id="p")).endpoints
