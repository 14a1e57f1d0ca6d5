"""ServiceEntries of Istio: what they become, and what of them is refused with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from pilot_core.dialects import catalogue, objects
from pilot_core.model import Endpoint, Endpoints, Locality, Port, Protocol, Resolution, TlsMode

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: payments, namespace: shop, resourceVersion: "7"}
spec:
  hosts: [payments.example.com, pay.example.com]
  addresses: [192.0.2.1]
  location: MESH_INTERNAL
  resolution: STATIC
  exportTo: ["."]
  subjectAltNames: ["spiffe://cluster.local/ns/vm/sa/payments"]
  ports:
  - {number: 443, name: https, protocol: HTTPS}
  - {number: 80, name: http, protocol: HTTP, targetPort: 8080}
  endpoints:
  - {address: 10.3.0.1, ports: {https: 8443}, locality: eu/a, weight: 3, serviceAccount: payments}
  - {address: 10.3.0.2, labels: {security.istio.io/tlsMode: istio}, network: vm-net}
"""


def read(text: str, **spec: Any) -> catalogue.Catalogue:
    tree = yaml.safe_load(text)
    tree["spec"] |= spec
    return catalogue.read(json.dumps(tree), "entry.json")


def refused(text: str) -> list[str]:
    return [str(finding) for finding in catalogue.read(text, "a.yaml").refused]


def test_each_host_is_a_service_with_all_ports_and_endpoints():
    found = catalogue.read(ENTRY, "a.yaml")
    assert () == found.refused
    assert ["payments.example.com", "pay.example.com"] == list(found.services)
    service, endpoints = found.services["payments.example.com"]
    assert ("shop", (".",), Resolution.STATIC) == (
        service.namespace,
        service.visibility,
        service.resolution,
    )
    assert (("192.0.2.1",), ("spiffe://cluster.local/ns/vm/sa/payments",)) == (
        service.addresses,
        service.identities,
    )
    assert (
        Port("https", 443, Protocol.HTTPS),
        Port("http", 80, Protocol.HTTP),
    ) == service.ports
    assert isinstance(endpoints, Endpoints)
    assert (
        Endpoint(
            addresses=("10.3.0.1",),
            ports=(("http", 8080), ("https", 8443)),
            locality=Locality("eu", "a"),
            weight=3,
            service_account="payments",
        ),
        Endpoint(
            addresses=("10.3.0.2",),
            ports=(("http", 8080), ("https", 443)),
            labels=(("security.istio.io/tlsMode", "istio"),),
            network="vm-net",
            tls=TlsMode.MUTUAL,
        ),
    ) == endpoints.endpoints


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_every_version_means_the_same(version):
    text = ENTRY.replace("networking.istio.io/v1", f"networking.istio.io/{version}")
    assert catalogue.read(ENTRY, "a.yaml") == catalogue.read(text, "a.yaml")


def test_a_host_without_endpoints_is_resolved_by_proxies():
    found = read(ENTRY, resolution="DNS", hosts=["a.example.com"], endpoints=[], addresses=[])
    _, endpoints = found.services["a.example.com"]
    assert isinstance(endpoints, Endpoints)
    assert ["a.example.com"] == [e.address for e in endpoints.endpoints]


def test_without_a_resolution_the_connection_goes_where_it_was_going():
    found = read(ENTRY, resolution="NONE", hosts=["*.example.com"], endpoints=[])
    [service] = found.services["*.example.com"]
    assert Resolution.PASSTHROUGH == service.resolution


@pytest.mark.parametrize(
    ("line", "by", "expected"),
    [
        (
            "resolution: STATIC",
            "resolution: STATICK",
            "a.yaml:8:15: spec.resolution: expected one of NONE,",
        ),
        ("  location: MESH_INTERNAL", "  locaton: MESH_INTERNAL", "unknown key"),
        ("number: 443", "number: 70000", "spec.ports[0].number"),
        ("protocol: HTTPS", "protocol: HTPS", "spec.ports[0].protocol: there is no protocol HTPS"),
        ("10.3.0.1", "vm.example.com", "spec.endpoints[0].address"),
        ("https: 8443", "tls: 8443", "spec.endpoints[0].ports.tls: the service has no port"),
        ("pay.example.com", "pay_.-", "spec.hosts[1]"),
        ('["."]', '[".", "a b"]', "spec.exportTo[1]"),
        ("192.0.2.1", "192.0.2.0/24", "spec.addresses[0]: ranges are not read"),
        ("spiffe://", "https://", "spec.subjectAltNames[0]: only SPIFFE ids"),
        ("resolution: STATIC", "resolution: DYNAMIC_DNS", "spec.resolution: DYNAMIC_DNS is not"),
        ("  resolution:", "  workloadSelector: {}\n  resolution:", "workloads are not selected"),
        ("istio.io/v1", "istio.io/v9", "is read in the versions v1, v1beta1, v1alpha3, not"),
        ("kind: ServiceEntry", "kind: ServiceEntri", "did you mean ServiceEntry?"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(line, by, expected):
    assert line in ENTRY
    found = refused(ENTRY.replace(line, by, 1))
    assert expected in found[0]
    assert found[0].startswith("a.yaml:")


def test_an_object_of_a_platform_has_the_findings_of_a_file():
    wrong = ENTRY.replace("number: 443", "number: 70000")
    content = json.dumps(yaml.safe_load(wrong)).encode()
    assert [f.message for f in catalogue.read(wrong, "a.yaml").refused] == [
        f.message for f in objects.read_json(content, "shop/payments").refused
    ]


def test_an_entry_that_is_wrong_keeps_what_its_hosts_had():
    before = catalogue.read(ENTRY, "a.yaml")
    wrong = ENTRY.replace("number: 443", "number: 70000")
    found = catalogue.read(wrong, "a.yaml", before=before)
    assert before.services == found.services
    assert 1 == len(found.refused)


def test_a_host_of_two_documents_counts_once():
    second = ENTRY.replace("10.3.0.1", "10.3.0.9")
    found = catalogue.read(f"{ENTRY}---\n{second}", "a.yaml")
    assert found.services == catalogue.read(ENTRY, "a.yaml").services
    assert 2 == len([f for f in found.refused if "is in this file already" in f.message])
