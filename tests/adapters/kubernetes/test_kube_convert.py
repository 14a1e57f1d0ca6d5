"""One service, one endpoint: what of the platform's API becomes what of the model."""

from __future__ import annotations

import itertools

import pytest
from joined import Joined
from objects import endpoint, endpoint_slice, pod, service
from pilot_adapter_kubernetes import convert, wire

from pilot_core.model import Health, Port, Protocol, Resolution, Service

READY, DRAINING, NOT = Health.HEALTHY, Health.DRAINING, Health.UNHEALTHY


def made(**spec: object) -> Service:
    joined = Joined()
    annotations = spec.pop("annotations", None)
    sent = service("web", **spec)
    sent["metadata"]["annotations"] = annotations
    joined.put(sent)
    found = joined.service("shop/web")
    assert found is not None
    return found


def ports(*sent: dict[str, object]) -> list[Port]:
    return list(made(ports=list(sent)).ports)


@pytest.mark.parametrize(
    "conditions",
    list(itertools.product((True, False, None), (True, False, None), (True, False, None))),
)
def test_health_follows_the_conditions(conditions):
    ready, serving, terminating = conditions
    if ready is not False:
        expected = READY
    else:
        expected = DRAINING if (serving, terminating) == (True, True) else NOT

    assert expected == convert.health(wire.Conditions(ready, serving, terminating))


def test_a_cluster_ip_service():
    found = made(type="ClusterIP", clusterIP="10.96.0.7", clusterIPs=["10.96.0.7", "fd00::7"])

    assert "web.shop.svc.cluster.local" == found.hostname
    assert "shop" == found.namespace
    assert ("10.96.0.7", "fd00::7") == found.addresses
    assert Resolution.STATIC == found.resolution
    assert (Port("http", 80, Protocol.HTTP),) == found.ports


def test_a_headless_service_has_no_address_of_its_own():
    found = made(clusterIP="None", clusterIPs=["None"])

    assert ((), Resolution.STATIC) == (found.addresses, found.resolution)


def test_an_external_name_is_resolved_by_proxies():
    joined = Joined()
    joined.put(service("web", type="ExternalName", externalName="Db.Example.com."))
    found = joined.service("shop/web")

    assert found is not None
    assert Resolution.DNS == found.resolution
    assert [("db.example.com",)] == [e.addresses for e in joined.endpoints()]


def test_a_service_that_stops_being_external_has_its_slices_again():
    joined = Joined()
    joined.put(
        service("web", type="ExternalName", externalName="db.example.com"),
        pod("a", "10.1.0.1"),
        endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a")),
    )
    assert ["db.example.com"] == joined.addresses()

    joined.put(service("web"))
    assert ["10.1.0.1"] == joined.addresses()


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"name": "http-admin"}, Protocol.HTTP),
        ({"name": "grpc-web-x"}, Protocol.GRPC_WEB),
        ({"name": "redis"}, Protocol.REDIS),
        ({"name": "whatever"}, Protocol.TCP),
        ({"name": "udp-like"}, Protocol.TCP),
        ({"name": "http", "protocol": "UDP"}, Protocol.UDP),
        ({"name": "http", "appProtocol": "grpc"}, Protocol.GRPC),
        ({"name": "x", "appProtocol": "HTTP"}, Protocol.HTTP),
        ({"name": "x", "appProtocol": "kubernetes.io/h2c"}, Protocol.HTTP2),
        ({"name": "x", "appProtocol": "kubernetes.io/ws"}, Protocol.HTTP),
        ({"name": "x", "appProtocol": "kubernetes.io/wss"}, Protocol.HTTPS),
        ({"name": "http", "appProtocol": "example.com/own"}, Protocol.HTTP),
    ],
)
def test_the_protocol_of_a_port(port, expected):
    assert [expected] == [p.protocol for p in ports({"port": 80, **port})]


def test_a_port_without_a_name_is_known_by_its_number():
    joined = Joined()
    joined.put(
        service("web", ports=[{"port": 80}]),
        pod("a", "10.1.0.1"),
        endpoint_slice(
            "web-1", "web", endpoint("10.1.0.1", "a"), ports=[{"name": "", "port": 8080}]
        ),
    )
    found = joined.service("shop/web")

    assert found is not None
    assert ["80"] == [p.name for p in found.ports]
    assert [8080] == [e.number(found.ports[0]) for e in joined.endpoints()]


def test_what_proxies_do_not_carry_is_left_out_and_told():
    sctp = {"name": "sig", "port": 2905, "protocol": "SCTP"}
    assert ["http"] == [p.name for p in ports({"name": "http", "port": 80}, sctp)]

    joined = Joined()
    joined.put(service("web", ports=[sctp], internalTrafficPolicy="Local"))
    told = "; ".join(joined.catalogue.unhonoured("shop/web"))
    assert "internalTrafficPolicy Local is not honoured" in told
    assert "port sig is SCTP" in told


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [("", ("*",)), ("*", ("*",)), (".", (".",)), ("~", ()), ("a, b", ("a", "b"))],
)
def test_visibility_is_what_export_to_says(annotation, expected):
    assert expected == made(annotations={convert.EXPORT_TO: annotation}).visibility


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (None, [()]),
        ([{"name": "http", "port": 8080}], [(("http", 8080),)]),
        ([{"name": "http", "port": None}], [(("http", 80),)]),
        ([{"name": "other", "port": 1}], []),
    ],
)
def test_the_ports_of_a_slice_join_the_services_by_name(sent, expected):
    joined = Joined()
    joined.put(
        service("web"),
        pod("a", "10.1.0.1"),
        endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a"), ports=sent),
    )

    assert expected == [e.ports for e in joined.endpoints()]


def test_named_target_ports_may_differ_from_pod_to_pod():
    joined = Joined()
    joined.put(
        service("web"),
        pod("a", "10.1.0.1"),
        pod("b", "10.1.0.2"),
        endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a")),
        endpoint_slice(
            "web-2", "web", endpoint("10.1.0.2", "b"), ports=[{"name": "http", "port": 9090}]
        ),
    )

    assert [(("http", 8080),), (("http", 9090),)] == [e.ports for e in joined.endpoints()]


def test_a_slice_without_endpoints_has_none():
    joined = Joined()
    joined.put(service("web"), endpoint_slice("web-1", "web", endpoints=None))

    assert () == joined.endpoints()


@pytest.mark.parametrize(
    ("owner", "labels", "expected"),
    [
        (("ReplicaSet", "web-5d4f"), {"pod-template-hash": "5d4f"}, "web"),
        (("StatefulSet", "db"), {}, "db"),
        (("DaemonSet", "agent"), {}, "agent"),
        (("Job", "report-28000000"), {}, "report"),
        (("Job", "migrate"), {}, "migrate"),
        (None, {}, "a"),
    ],
)
def test_the_workload_is_what_the_pod_is_one_of(owner, labels, expected):
    sent = pod("a", "10.1.0.1", labels=labels)
    if owner:
        kind, name = owner
        sent["metadata"]["ownerReferences"] = [{"kind": kind, "name": name, "controller": True}]
    joined = Joined()
    joined.put(service("web"), sent, endpoint_slice("w", "web", endpoint("10.1.0.1", "a")))

    assert [expected] == [e.workload for e in joined.endpoints()]


def test_labels_of_a_pod_say_its_network_its_place_and_its_tls():
    labels = {
        "security.istio.io/tlsMode": "istio",
        "istio-locality": "eu.eu-a.rack-1",
        "topology.istio.io/network": "net-1",
    }
    joined = Joined()
    joined.put(
        service("web"),
        pod("a", "10.1.0.1", labels=labels),
        endpoint_slice("w", "web", endpoint("10.1.0.1", "a")),
    )
    found = joined.endpoints()[0]

    assert ("mutual", "eu/eu-a/rack-1", "net-1") == (
        found.tls,
        str(found.locality),
        found.network,
    )
