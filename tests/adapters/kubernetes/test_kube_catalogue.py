"""A cluster's objects joined: identities, slices that split and merge, who owns an address."""

from __future__ import annotations

import itertools

import pytest
from joined import Joined
from objects import endpoint, endpoint_slice, node, pod, service

from pilot_core.model import Health, Locality

MANAGED = {
    "kubernetes.io/service-name": "web",
    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
}


def web(*more: dict[str, object]) -> Joined:
    """Service `web` of two pods in one slice, and what else there is."""
    joined = Joined()
    joined.put(
        service("web", selector={"app": "web"}),
        pod("a", "10.1.0.1"),
        pod("b", "10.1.0.2"),
        endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a"), endpoint("10.1.0.2", "b")),
        *more,
    )
    return joined


def test_an_endpoint_is_who_its_pod_is():
    joined = web(
        pod("a", "10.1.0.1", account="reviews", labels={"app": "web", "version": "v2"}),
        node("node-1", region="eu", zone="eu-a"),
    )

    first = joined.endpoints()[0]
    assert ("10.1.0.1",) == first.addresses
    assert (("http", 8080),) == first.ports
    assert "reviews" == first.service_account
    assert (("app", "web"), ("version", "v2")) == first.labels
    assert Locality("eu", "eu-a") == first.locality
    assert "a" == first.workload


def test_a_slice_before_its_pod_is_not_told_until_the_pod_is_there():
    joined = Joined()
    joined.put(service("web"), endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a")))
    assert [] == joined.addresses()
    assert 1 == joined.catalogue.pending

    joined.dirty.clear()
    joined.put(pod("a", "10.1.0.1"))
    assert {"shop/web"} == joined.dirty
    assert ["10.1.0.1"] == joined.addresses()
    assert 0 == joined.catalogue.pending


def test_a_slice_that_goes_before_its_pod_comes_leaves_nothing_behind():
    joined = Joined()
    one = endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a"))
    joined.put(one)
    assert [] == joined.addresses()
    joined.drop(one)
    joined.dirty.clear()
    joined.put(pod("a", "10.1.0.1"))

    assert set() == joined.dirty
    assert [] == joined.addresses()
    assert 0 == joined.catalogue.pending
    assert 0 == len(joined.catalogue._mentions)


def test_a_pod_of_the_same_name_is_another_pod():
    joined = web(
        endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a", uid="uid-a")),
        pod("a", "10.1.0.1", uid="born again", account="other"),
    )

    assert [] == joined.addresses()


def test_an_address_that_another_pod_has_taken_over_is_not_told_with_the_old_identity():
    joined = web()
    assert ["10.1.0.1", "10.1.0.2"] == joined.addresses()

    joined.dirty.clear()
    joined.put(pod("thief", "10.1.0.1", namespace="evil", created="2026-01-02T00:00:00Z"))
    assert {"shop/web"} == joined.dirty
    assert ["10.1.0.2"] == joined.addresses()


def test_an_older_pod_with_the_same_address_takes_nothing_away():
    joined = web(pod("old", "10.1.0.1", namespace="other", created="2025-01-01T00:00:00Z"))

    assert ["10.1.0.1", "10.1.0.2"] == joined.addresses()


def test_a_pod_that_has_lost_its_address_is_not_found_there():
    joined = web()
    managed = endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a"), endpoint("10.1.0.2", "b"))
    managed["metadata"]["labels"] = MANAGED
    joined.put(managed, pod("a", "10.1.0.77"))

    assert ["10.1.0.2"] == joined.addresses()


def test_pods_on_the_hosts_network_share_an_address_and_keep_their_identities():
    joined = Joined()
    joined.put(
        service("web"),
        pod("a", "10.1.0.1", account="one", host_network=True),
        pod("b", "10.1.0.1", account="two", host_network=True, created="2026-02-01T00:00:00Z"),
        endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a"), endpoint("10.1.0.1", "b")),
    )

    assert ["one", "two"] == [e.service_account for e in joined.endpoints()]


def test_a_slice_written_by_hand_finds_the_pod_of_its_namespace_at_its_address():
    joined = Joined()
    joined.put(
        service("web"),
        endpoint_slice("web-1", "web", endpoint("10.1.0.1"), endpoint("192.0.2.1")),
        pod("a", "10.1.0.1", account="mine"),
        pod("b", "192.0.2.1", namespace="other", account="foreign"),
    )

    assert ["mine", ""] == [e.service_account for e in joined.endpoints()]


def test_a_target_that_is_no_pod_has_no_identity():
    entry = endpoint("10.1.0.1")
    entry["targetRef"] = {"kind": "VirtualMachine", "name": "vm"}
    joined = web(endpoint_slice("web-1", "web", entry))

    assert ["", ""] == [joined.endpoints()[0].service_account, joined.endpoints()[0].workload]


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_an_endpoint_that_moves_between_slices_is_there_once_at_every_step(order):
    joined = web()
    expected = joined.endpoints()
    steps = [
        endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a")),
        endpoint_slice("web-2", "web", endpoint("10.1.0.2", "b")),
    ]
    for step in order:
        joined.put(steps[step])
        assert expected == joined.endpoints()

    joined.now = 100.0
    assert expected == joined.endpoints()


def test_a_split_and_a_merge_of_many_never_shrink_or_double_the_set():
    addresses = {f"p{n:03}": f"10.1.{n // 100}.{n % 100 + 1}" for n in range(250)}
    joined = Joined()
    joined.put(service("web", selector={"app": "web"}))
    joined.put(*(pod(name, address) for name, address in addresses.items()))
    names = list(addresses)

    def one(number: int, members: list[str]) -> None:
        ends = (endpoint(addresses[name], name) for name in members)
        joined.put(endpoint_slice(f"web-{number}", "web", *ends))
        seen.append(joined.endpoints())

    seen: list[object] = []
    one(1, names)
    one(1, names[:100])
    one(2, names[100:200])
    one(3, names[200:])
    one(3, [])
    one(2, names[100:])

    assert 250 == len(joined.endpoints())
    assert [joined.endpoints()] * 6 == seen


def test_an_endpoint_that_left_for_good_goes_at_the_latest_after_the_hold():
    joined = web()
    joined.endpoints()
    joined.put(endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a")))
    assert (["10.1.0.1", "10.1.0.2"], True) == (
        joined.addresses(),
        joined.catalogue.records("shop/web", joined.now)[1],
    )

    joined.now = 3.0
    assert ["10.1.0.1"] == joined.addresses()


def test_an_endpoint_whose_pod_is_gone_goes_at_once():
    joined = web()
    joined.endpoints()
    joined.put(endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a")))
    joined.drop(pod("b", "10.1.0.2"))

    assert ["10.1.0.1"] == joined.addresses()


def test_an_endpoint_that_the_selector_no_longer_means_goes_at_once():
    joined = web()
    joined.endpoints()
    joined.put(
        endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a")),
        pod("b", "10.1.0.2", labels={"app": "other"}),
    )

    assert ["10.1.0.1"] == joined.addresses()


def test_what_the_newest_slice_says_of_an_endpoint_counts():
    unready = endpoint("10.1.0.1", "a", conditions={"ready": False})
    joined = web(endpoint_slice("web-0", "web", unready))

    assert [Health.UNHEALTHY, Health.HEALTHY] == [e.health for e in joined.endpoints()]


def test_slices_with_one_port_each_make_up_one_endpoint():
    joined = Joined()
    joined.put(
        service("web", ports=[{"name": "http", "port": 80}, {"name": "admin", "port": 81}]),
        pod("a", "10.1.0.1"),
        endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a")),
        endpoint_slice(
            "web-2", "web", endpoint("10.1.0.1", "a"), ports=[{"name": "admin", "port": 9}]
        ),
    )

    assert [(("admin", 9), ("http", 8080))] == [e.ports for e in joined.endpoints()]


def test_two_families_of_a_pod_are_one_endpoint_in_the_services_order():
    def dual(*families: str) -> list[tuple[str, ...]]:
        both = pod("a", "10.1.0.1")
        both["status"]["podIPs"] = [{"ip": "10.1.0.1"}, {"ip": "fd00::1"}]
        joined = Joined()
        joined.put(
            service("web", ipFamilies=list(families)),
            both,
            endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a")),
            endpoint_slice("web-2", "web", endpoint("fd00::1", "a"), addressType="IPv6"),
        )
        return [e.addresses for e in joined.endpoints()]

    assert [("10.1.0.1", "fd00::1")] == dual("IPv4", "IPv6")
    assert [("fd00::1", "10.1.0.1")] == dual("IPv6", "IPv4")


def test_slices_of_names_are_not_endpoints():
    joined = web(
        endpoint_slice("web-2", "web", endpoint("web.example.com"), addressType="FQDN"),
    )

    assert ["10.1.0.1", "10.1.0.2"] == joined.addresses()


def test_a_slice_of_no_service_concerns_nobody():
    stray = endpoint_slice("stray", "", endpoint("10.1.0.1", "a"))
    joined = Joined()
    joined.put(stray, pod("a", "10.1.0.1"))

    assert set() == joined.dirty


def test_a_slice_that_changes_its_service_leaves_the_old_one():
    joined = web(
        service("other"),
        endpoint_slice("web-1", "other", endpoint("10.1.0.1", "a"), endpoint("10.1.0.2", "b")),
    )

    assert ["10.1.0.1", "10.1.0.2"] == joined.addresses("shop/other")
    assert [] == joined.addresses("shop/web")


def test_only_services_that_mention_a_pod_are_made_again_when_it_changes():
    joined = web(service("api"), endpoint_slice("api-1", "api", endpoint("10.1.0.2", "b")))
    joined.dirty.clear()
    joined.put(pod("a", "10.1.0.1", labels={"app": "web", "version": "v2"}))

    assert {"shop/web"} == joined.dirty


def test_a_node_that_learns_its_place_late_tells_its_endpoints():
    joined = web(node("node-1"))
    entry = endpoint("10.1.0.1", "a", nodeName="node-1")
    joined.put(endpoint_slice("web-1", "web", entry))
    assert Locality() == joined.endpoints()[0].locality

    joined.dirty.clear()
    joined.put(node("node-1", region="eu", zone="eu-b"))
    assert {"shop/web"} == joined.dirty
    assert Locality("eu", "eu-b") == joined.endpoints()[0].locality

    joined.drop(node("node-1"))
    assert Locality() == joined.endpoints()[0].locality


def test_a_service_that_is_made_again_is_the_new_one():
    joined = web()
    joined.endpoints()
    joined.drop(service("web"))
    joined.put(service("web", ports=[{"name": "grpc", "port": 9000}]))

    made = joined.service("shop/web")
    assert made is not None
    assert ["grpc"] == [p.name for p in made.ports]
    # The slice serves a port of another name: nobody can be sent there.
    assert [] == joined.addresses()
