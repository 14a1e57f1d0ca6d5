"""What holds for every plan, whatever the world and the proxy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import given, settings

from pilot_core.model import Proxy, World
from pilot_core.plan.layers import LayerKey
from pilot_core.plan.proxies import plan
from pilot_core.plan.views import (
    ApiListenerView,
    ClusterView,
    Discovery,
    EndpointsView,
    ForwardListenerView,
    HttpListenerView,
    RoutesView,
    View,
)
from worlds import proxies, worlds


def views(world: World, keys: Iterable[LayerKey]) -> list[View]:
    return [view for key in keys for view in key.views(world)]


def doubled(items: Iterable[object]) -> list[object]:
    return [item for item, count in Counter(items).items() if count > 1]


@settings(max_examples=50, deadline=None)
@given(worlds(), proxies)
def test_a_name_stands_in_one_layer_only(world: World, proxy: Proxy):
    made = plan(proxy)
    for keys in (made.clusters, made.endpoints, made.listeners, made.routes):
        assert [] == doubled(view.name for view in views(world, keys))


@settings(max_examples=50, deadline=None)
@given(worlds(), proxies)
def test_no_domain_stands_in_two_virtual_hosts(world: World, proxy: Proxy):
    for routes in views(world, plan(proxy).routes):
        assert isinstance(routes, RoutesView)
        assert [] == doubled(domain for host in routes.hosts for domain in host.domains)
        assert [] == doubled(host.name for host in routes.hosts)


@settings(max_examples=50, deadline=None)
@given(worlds(), proxies)
def test_no_two_listeners_have_one_address(world: World, proxy: Proxy):
    found = views(world, plan(proxy).listeners)
    bound = [v for v in found if isinstance(v, HttpListenerView | ForwardListenerView)]
    assert [] == doubled((view.address, view.port) for view in bound)


@settings(max_examples=50, deadline=None)
@given(worlds(), proxies)
def test_every_cluster_that_is_named_is_there(world: World, proxy: Proxy):
    made = plan(proxy)
    known = {view.name for view in views(world, made.clusters)}
    named = set()
    for view in views(world, made.listeners + made.routes):
        if isinstance(view, RoutesView):
            named |= {host.cluster for host in view.hosts}
        elif isinstance(view, ForwardListenerView | ApiListenerView):
            named.add(view.cluster)
    assert set() == named - known


@settings(max_examples=50, deadline=None)
@given(worlds(), proxies)
def test_there_are_load_assignments_for_just_the_clusters_that_ask(world: World, proxy: Proxy):
    made = plan(proxy)
    clusters = [v for v in views(world, made.clusters) if isinstance(v, ClusterView)]
    asking = {view.name for view in clusters if view.discovery is Discovery.EDS}
    assert asking == {view.name for view in views(world, made.endpoints)}


@settings(max_examples=50, deadline=None)
@given(worlds(), proxies)
def test_priorities_count_from_zero_without_gaps(world: World, proxy: Proxy):
    for view in views(world, plan(proxy).endpoints):
        assert isinstance(view, EndpointsView)
        ranks = sorted({locality.priority for locality in view.localities})
        assert list(range(len(ranks))) == ranks
        assert [] == doubled(locality.locality for locality in view.localities)
        assert [] == doubled(
            (e.addresses[0], e.port) for locality in view.localities for e in locality.endpoints
        )
