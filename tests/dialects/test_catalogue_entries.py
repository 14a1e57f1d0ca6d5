"""One entry of a catalogue: its fields, their defaults, and what is refused in them."""

from __future__ import annotations

import pytest

from pilot_core.dialects.catalogue import read
from pilot_core.dialects.convert import hostname_of
from pilot_core.model import (
    Endpoint,
    Endpoints,
    Health,
    Locality,
    Port,
    Protocol,
    Resolution,
    Service,
    TlsMode,
)

FULL = """
services:
- hostname: Reviews.Shop.Mesh.
  namespace: shop
  ports: [{name: http, number: 80, protocol: http2}, {name: grpc-admin, number: 81}, {number: 82}]
  resolution: static
  visibility: [".", books]
  endpoints:
  - address: 10.0.0.7
    ports: {http: 9000, grpc-admin: 9001}
    health: degraded
    weight: 0
    locality: region/zone/subzone
    network: east
    labels: {version: v1, app: reviews}
    workload: reviews-v1
    service_account: reviews
    tls: mutual
"""


def records(text: str) -> tuple[Service, tuple[Endpoint, ...]]:
    said = read(text, "x.yaml")
    assert () == said.refused
    service, *rest = said.records
    assert isinstance(service, Service)
    endpoints = [record.endpoints for record in rest if isinstance(record, Endpoints)]
    return service, endpoints[0] if endpoints else ()


def problem(fields: str) -> str:
    """What is wrong with the only entry, without its place."""
    said = read(f"services: [{{hostname: a.mesh, {fields}}}]", "x.yaml")
    assert {} == dict(said.services)
    [finding] = said.refused
    return finding.message


def test_every_field_is_taken() -> None:
    service, [endpoint] = records(FULL)

    assert service == Service(
        hostname="reviews.shop.mesh",
        namespace="shop",
        ports=(
            Port("http", 80, Protocol.HTTP2),
            Port("grpc-admin", 81, Protocol.GRPC),
            Port("82", 82, Protocol.TCP),
        ),
        visibility=(".", "books"),
    )
    assert endpoint == Endpoint(
        addresses=("10.0.0.7",),
        ports=(("grpc-admin", 9001), ("http", 9000)),
        health=Health.DEGRADED,
        weight=0,
        locality=Locality("region", "zone", "subzone"),
        network="east",
        labels=(("app", "reviews"), ("version", "v1")),
        workload="reviews-v1",
        service_account="reviews",
        tls=TlsMode.MUTUAL,
    )


def test_only_the_hostname_and_the_address_are_required() -> None:
    service, [endpoint] = records("services: [{hostname: a.mesh, endpoints: [{address: '::1'}]}]")

    assert Service(hostname="a.mesh") == service
    assert ("default", Resolution.STATIC, ("*",)) == (
        service.namespace,
        service.resolution,
        service.visibility,
    )
    assert Endpoint(addresses=("::1",)) == endpoint


@pytest.mark.parametrize(
    ("resolution", "written", "taken"),
    [
        ("static", "10.0.0.7", "10.0.0.7"),
        ("static", "2001:DB8::0001", "2001:db8::1"),
        ("static", "unix:///run/app.sock", "unix:///run/app.sock"),
        ("dns", "DB.example.", "db.example"),
        ("dns", "10.0.0.7", "10.0.0.7"),
        ("passthrough", "10.0.0.7", "10.0.0.7"),
    ],
)
def test_addresses_go_with_the_resolution(resolution: str, written: str, taken: str) -> None:
    text = f"resolution: {resolution}, endpoints: [{{address: '{written}'}}]"

    _, [endpoint] = records(f"services: [{{hostname: a.mesh, {text}}}]")

    assert taken == endpoint.address


@pytest.mark.parametrize(
    ("resolution", "written", "words"),
    [
        ("static", "db.example", "expected an IP address or unix:///path, found"),
        ("static", "db.example", "names need `resolution: dns`"),
        ("static", "010.0.0.1", "expected an IP address"),
        ("static", "10.0.0.300", "expected an IP address"),
        ("static", "10.0.0.1:80", "expected an IP address"),
        ("static", "fe80::1%eth0", "expected an IP address"),
        ("static", "", 'found ""'),
        ("static", "unix://relative", "expected an IP address or unix:///path"),
        ("static", "unix:///" + "x" * 120, "expected an IP address or unix:///path"),
        ("dns", "unix:///run/app.sock", "expected a DNS name or an IP address"),
        ("dns", "*.example", "expected a DNS name or an IP address"),
        ("passthrough", "db.example", "expected an IP address, found"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(
    resolution: str, written: str, words: str
) -> None:
    said = problem(f"resolution: {resolution}, endpoints: [{{address: '{written}'}}]")

    assert said.startswith("services[0].endpoints[0].address: ")
    assert words in said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("ports: [{number: 0}]", "ports[0].number: expected a whole number >= 1, found the number"),
        ("ports: [{number: 65536}]", "ports[0].number: expected a whole number <= 65535"),
        ("ports: [{number: '80'}]", "ports[0].number: expected a whole number"),
        ("ports: [{number: 1}, {number: 1, name: x}]", "ports[1].number: another port has the"),
        (
            "ports: [{number: 1, name: x}, {number: 2, name: x}]",
            'ports[1].name: another port is named "x" already',
        ),
        ("ports: [{number: 1, name: 'a b'}]", "ports[0].name: a port's name is made of"),
        ("ports: [{number: 1, protocol: smtp}]", "ports[0].protocol: expected one of http"),
        ("namespace: ''", "namespace: a namespace is made of"),
        ("namespace: a/b", "namespace: a namespace is made of"),
        ("visibility: [a b]", "visibility[0]: expected a namespace"),
        ("resolution: magic", "resolution: expected one of static, dns, passthrough"),
        ("endpoints: [{address: 1.1.1.1, weight: -1}]", "endpoints[0].weight: expected a whole"),
        ("endpoints: [{address: 1.1.1.1, weight: 4294967296}]", "endpoints[0].weight: expected"),
        ("endpoints: [{address: 1.1.1.1, health: fine}]", "endpoints[0].health: expected one of"),
        ("endpoints: [{address: 1.1.1.1, tls: maybe}]", "endpoints[0].tls: expected one of"),
        ("endpoints: [{address: 1.1.1.1, labels: {a: 1}}]", "endpoints[0].labels.a: expected a"),
        (
            "endpoints: [{address: 1.1.1.1, service_account: a/b}]",
            "endpoints[0].service_account: a service account is made of",
        ),
        (
            "ports: [{number: 1, name: x}], endpoints: [{address: 1.1.1.1, ports: {y: 1}}]",
            'endpoints[0].ports.y: the service has no port "y"; it has x',
        ),
        ("endpoints: [{adress: 1.1.1.1, address: 1.1.1.1}]", 'endpoints[0]: unknown key "adress"'),
    ],
)
def test_a_field_that_is_wrong_is_named(fields: str, said: str) -> None:
    assert problem(fields).startswith(f"services[0].{said}")


def test_all_that_is_wrong_with_an_entry_is_said_at_once() -> None:
    said = read("services: [{hostname: a b, namespace: '', resolution: dns}]", "x.yaml")

    assert [23, 39] == [finding.column for finding in said.refused]


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("A.Mesh", "a.mesh"),
        ("a.mesh.", "a.mesh"),
        ("*.mesh", "*.mesh"),
        ("_srv.a-b.mesh", "_srv.a-b.mesh"),
        ("a" * 63, "a" * 63),
        ("", ""),
        ("*", ""),
        ("a..b", ""),
        ("-a", ""),
        ("a.*.b", ""),
        ("ä.mesh", ""),
        ("a b", ""),
        ("a\n", ""),
        ("a" * 64, ""),
        (".".join(["a" * 60] * 5), ""),
    ],
)
def test_hostnames_take_the_form_of_the_model_or_none(written: str, taken: str) -> None:
    assert taken == hostname_of(written)
