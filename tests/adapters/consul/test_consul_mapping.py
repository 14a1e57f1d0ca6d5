"""What becomes of a service as Consul has it: no server needed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilot_adapter_consul import entries, mapping
from pilot_adapter_consul.mapping import About
from pilot_adapter_consul.scope import Scope, scopes
from pilot_adapter_consul.settings import ConsulConfig
from pilot_adapter_consul.sidecars import Sidecar
from pilot_core.model import Endpoint, Endpoints, Health, Locality, Port, Protocol, Resolution


def entry(checks: list[dict[str, str]] | None = None, *, node: Any = None, **service: Any) -> Any:
    return {
        "Node": {"Node": "n1", "Address": "10.0.0.1", "Datacenter": "dc1", **(node or {})},
        "Service": {"Service": "web", "ID": "web-1", "Port": 8080, "Tags": None, **service},
        "Checks": checks,
    }


def mapped(*found: Any, name: str = "web", **about: Any) -> tuple[Any, ...]:
    """The service, its endpoints, and what was refused."""
    refused: list[str] = []
    decoded = entries.instances.decode(json.dumps(found))
    records = mapping.records(name, decoded, refused.append, About(**about))
    return (*records, refused)


def endpoint(**service: Any) -> Endpoint:
    _, endpoints, refused = mapped(entry(**service))
    assert [] == refused
    [found] = endpoints.endpoints
    return found


def check(status: str, check_id: str = "c") -> dict[str, str]:
    return {"CheckID": check_id, "Status": status}


def test_a_bare_registration_is_one_healthy_tcp_endpoint_at_its_nodes_address():
    service, endpoints, refused = mapped(entry())

    assert ("web.service.consul", (Port("tcp", 8080, Protocol.TCP),)) == (
        service.hostname,
        service.ports,
    )
    [found] = endpoints.endpoints
    assert (("10.0.0.1",), (("tcp", 8080),)) == (found.addresses, found.ports)
    assert (Health.HEALTHY, 1, Locality("dc1")) == (found.health, found.weight, found.locality)
    assert ("web", "web", []) == (found.workload, found.service_account, refused)


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        (None, (Health.HEALTHY, 5)),
        ([check("passing")], (Health.HEALTHY, 5)),
        ([check("passing"), check("warning")], (Health.DEGRADED, 2)),
        ([check("warning"), check("critical")], (Health.UNHEALTHY, 5)),
        ([check("critical", "_node_maintenance")], (Health.DRAINING, 5)),
        ([check("critical", "_service_maintenance:web-1")], (Health.DRAINING, 5)),
    ],
)
def test_the_worst_check_counts_and_maintenance_drains(checks, expected):
    _, endpoints, _ = mapped(entry(checks, Weights={"Passing": 5, "Warning": 2}))

    [found] = endpoints.endpoints
    assert expected == (found.health, found.weight)


def test_named_ports_are_all_there_and_each_has_its_own_protocol():
    ports = [{"Name": "http", "Port": 80, "Default": True}, {"Name": "admin", "Port": 81}]
    service, endpoints, _ = mapped(entry(Port=0, Ports=ports, Meta={"protocol_admin": "grpc"}))

    assert (Port("admin", 81, Protocol.GRPC), Port("http", 80, Protocol.HTTP)) == service.ports
    assert (("admin", 81), ("http", 80)) == endpoints.endpoints[0].ports


def test_callers_name_a_port_by_the_number_that_most_instances_have():
    found = [entry(ID=f"w{n}", Address=f"10.1.0.{n}", Port=9000 + n) for n in (0, 1)]
    service, endpoints, _ = mapped(*found, entry(ID="x", Address="10.1.0.3", Port=9001))

    assert [9001] == [port.number for port in service.ports]
    assert [9000, 9001, 9001] == sorted(e.ports[0][1] for e in endpoints.endpoints)


def test_the_order_of_instances_and_tags_means_nothing():
    one = entry(ID="a", Address="10.1.0.1", Tags=["x", "y=1"])
    other = entry(ID="b", Address="10.1.0.2", Tags=["y=1", "x"])
    again = entry(ID="a", Address="10.1.0.1", Tags=["y=1", "x"])

    assert mapped(one, other) == mapped(other, again)


def test_meta_and_tags_become_labels_and_none_is_lost():
    found = endpoint(Tags=["v=1", "old|2|3", "bare"], Meta={"owner": "me", "v": "2"})

    expected = {"v": "2", "old": "2|3", "tag.bare": "true", "owner": "me"}
    assert tuple(sorted(expected.items())) == found.labels


def test_a_unix_socket_and_ipv6_are_addresses():
    assert ("unix:///run/web.sock",) == endpoint(SocketPath="/run/web.sock", Port=0).addresses
    assert ("2001:db8::1",) == endpoint(Address="[2001:DB8:0::1]").addresses


def test_names_for_addresses_are_resolved_by_the_proxies():
    service, endpoints, _ = mapped(entry(Address="Web.Example"))

    assert Resolution.DNS is service.resolution
    assert ("web.example",) == endpoints.endpoints[0].addresses


def test_names_beside_addresses_are_refused_one_by_one():
    _, endpoints, refused = mapped(entry(ID="a", Address="10.1.0.1"), entry(Address="web.example"))

    assert ["10.1.0.1"] == [e.address for e in endpoints.endpoints]
    assert ["web.example is a name"] == [text.partition(":")[0] for text in refused]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.300", "no name"])
def test_an_address_that_nobody_can_connect_to_is_refused(address):
    _, endpoints, refused = mapped(entry(Address=address), entry(ID="b", Address="10.1.0.1"))

    assert ["10.1.0.1"] == [e.address for e in endpoints.endpoints]
    assert [f'instance web-1 on n1: "{address}" cannot be connected to'] == refused


def test_an_instance_without_a_port_takes_no_traffic():
    service, endpoints, refused = mapped(entry(Port=0))

    assert ((), (), []) == (service.ports, endpoints.endpoints, refused)


def test_a_sidecar_proxy_is_no_service_of_a_users():
    assert ([],) == mapped(entry(Kind="connect-proxy"))


def test_one_service_id_on_two_nodes_is_two_instances():
    _, endpoints, _ = mapped(entry(), entry(node={"Node": "n2", "Address": "10.0.0.2"}))

    assert ["10.0.0.1", "10.0.0.2"] == [e.address for e in endpoints.endpoints]


def test_a_place_comes_from_the_instance_the_node_or_what_the_node_says_of_itself():
    def place(**more: Any) -> Locality:
        _, endpoints, _ = mapped(entry(**more))
        found: Locality = endpoints.endpoints[0].locality
        return found

    in_node = {"Locality": {"Region": "eu", "Zone": "a"}}
    assert Locality("eu", "a") == place(node=in_node)
    assert Locality("us", "b") == place(node=in_node, Locality={"Region": "us", "Zone": "b"})
    assert Locality("dc1", "z1") == place(node={"Meta": {"zone": "z1"}})
    assert Locality("dc1") == place()


@pytest.mark.parametrize(
    ("name", "scope", "expected"),
    [
        ("web", Scope(), "web.service.consul"),
        ("A.b_c", Scope(), "a.b_c.service.consul"),
        ("web", Scope("dc2"), "web.service.dc2.consul"),
        ("web", Scope(peer="east"), "web.service.east.peer.consul"),
        ("web", Scope(namespace="shop"), "web.service.shop.ns.consul"),
        ("web", Scope("dc2", "shop", "one"), "web.service.shop.ns.one.ap.dc2.dc.consul"),
    ],
)
def test_hostnames_are_consuls_own_in_lower_case(name, scope, expected):
    service, endpoints, _ = mapped(entry(), name=name, scope=scope)

    assert (expected, expected) == (service.hostname, endpoints.hostname)


def test_five_thousand_instances_are_mapped():
    many = [entry(ID=f"w{n}", Address=f"10.1.{n // 250}.{n % 250 + 1}") for n in range(5000)]
    _, endpoints, refused = mapped(*many)

    assert isinstance(endpoints, Endpoints)
    assert (5000, []) == (len(endpoints.endpoints), refused)


def test_what_service_defaults_say_goes_before_meta_but_not_before_what_is_said_of_one_port():
    meta = {"protocol": "tcp", "protocol_admin": "grpc"}
    ports = [{"Name": "main", "Port": 80}, {"Name": "admin", "Port": 81}]
    service, _, _ = mapped(entry(Port=0, Ports=ports, Meta=meta), protocol=Protocol.HTTP2)

    assert (Port("admin", 81, Protocol.GRPC), Port("main", 80, Protocol.HTTP2)) == service.ports


def test_a_protocol_may_stand_in_a_tag():
    service, _, _ = mapped(entry(Tags=["a", "protocol=grpc-web"]))

    assert (Port("grpc_web", 8080, Protocol.GRPC_WEB),) == service.ports


SIDECARS = {("n1", "web-1"): Sidecar("http", "240.0.0.1")}


def test_an_instance_with_a_proxy_has_its_name_in_consuls_mesh_and_the_proxys_protocol():
    service, endpoints, _ = mapped(
        entry(),
        entry(ID="web-2", Address="10.1.0.2", Port=81),
        trust_domain="x.consul",
        sidecars=SIDECARS,
    )

    name = "spiffe://x.consul/ns/default/dc/dc1/svc/web"
    assert [name, ""] == [e.identity for e in endpoints.endpoints]
    assert ((name,), ("240.0.0.1",)) == (service.identities, service.addresses)
    assert {Protocol.HTTP, Protocol.TCP} == {port.protocol for port in service.ports}


def test_a_native_instance_has_a_name_in_consuls_mesh_without_a_proxy():
    in_shop = {"Namespace": "shop", "Partition": "one", "Connect": {"Native": True}}
    virtual = {"consul-virtual": {"Address": "240.0.0.2", "Port": 8080}}
    service, endpoints, _ = mapped(
        entry(**in_shop, TaggedAddresses=virtual), trust_domain="x.consul"
    )

    name = "spiffe://x.consul/ap/one/ns/shop/dc/dc1/svc/web"
    assert (name, "shop", ("240.0.0.2",)) == (
        endpoints.endpoints[0].identity,
        service.namespace,
        service.addresses,
    )
    assert "" == mapped(entry(**in_shop))[1].endpoints[0].identity


@pytest.mark.parametrize(
    ("is_far", "expected"), [(False, ("10.1.0.1", 8080)), (True, ("198.51.100.1", 443))]
)
def test_from_another_datacentre_the_address_for_the_wide_area_counts(is_far, expected):
    wan = {"wan": {"Address": "198.51.100.1", "Port": 443}}
    _, endpoints, _ = mapped(entry(Address="10.1.0.1", TaggedAddresses=wan), is_far=is_far)

    [found] = endpoints.endpoints
    assert expected == (found.address, found.ports[0][1])


def test_from_another_datacentre_a_node_has_its_address_for_the_wide_area():
    node = {"TaggedAddresses": {"wan": "198.51.100.2", "lan": "10.0.0.1"}}
    _, endpoints, _ = mapped(entry(node=node), is_far=True)

    assert ["198.51.100.2"] == [e.address for e in endpoints.endpoints]


@pytest.mark.parametrize(
    ("tagged", "expected"),
    [
        ({"lan_ipv6": {"Address": "2001:db8::1", "Port": 8080}}, ("10.1.0.1", "2001:db8::1")),
        ({"lan_ipv6": {"Address": "2001:db8::1", "Port": 9}}, ("10.1.0.1",)),
        ({"lan_ipv6": {"Address": "::", "Port": 8080}}, ("10.1.0.1",)),
        ({"lan_ipv4": {"Address": "10.1.0.1", "Port": 8080}}, ("10.1.0.1",)),
    ],
)
def test_the_other_family_is_an_address_of_the_same_instance(tagged, expected):
    assert expected == endpoint(Address="10.1.0.1", TaggedAddresses=tagged).addresses


def test_a_gateway_is_a_service_and_says_which_kind():
    service, endpoints, _ = mapped(entry(Kind="mesh-gateway"))

    assert (("kind", "mesh-gateway"),) == service.labels
    assert 1 == len(endpoints.endpoints)


def test_every_part_of_consul_that_is_read_is_a_scope():
    config = ConsulConfig(
        address="x", datacenters=("a", "b"), namespaces=("n",), partition="p", peers=("east",)
    )

    assert [Scope("a", "n", "p"), Scope("b", "n", "p"), Scope("", "n", "p", "east")] == list(
        scopes(config)
    )
    assert ["a/p/n/", "b/p/n/", "p/n/peer-east/"] == [s.prefix for s in scopes(config)]
    assert [Scope()] == list(scopes(ConsulConfig(address="x")))
