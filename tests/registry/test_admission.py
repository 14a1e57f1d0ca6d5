from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilot_core.model import Endpoint, Endpoints, Origin, Port, Protocol, Service
from pilot_core.registry import admission
from registries import endpoints, service
from worlds import services


def refusal(record: object) -> str:
    with pytest.raises(admission.Refused) as refused:
        admission.admit(record)
    return str(refused.value)


def an_endpoint(**fields: object) -> Endpoints:
    return Endpoints(hostname="a.mesh", endpoints=(Endpoint(**fields),))


def test_a_sound_record_gets_in_as_an_equal_copy():
    record = service("a.mesh", ports=(Port("http", 80, Protocol.HTTP),), origin=Origin("f:1:1"))
    copy = admission.admit(record)
    assert (record, "f:1:1") == (copy, copy.origin.place)
    assert copy is not record


def test_a_record_that_is_known_gets_in_as_the_one_that_is_known():
    known = service("a.mesh", origin=Origin("f:1:1"))
    assert known is admission.admit(service("a.mesh", origin=Origin("f:1:1")), known)
    moved = admission.admit(service("a.mesh", origin=Origin("f:9:1")), known)
    assert (known, "f:9:1") == (moved, moved.origin.place)


@given(services)
def test_whatever_gets_in_can_be_written_down_and_read_back(record):
    try:
        admitted = admission.admit(record)
    except admission.Refused:
        return
    written = msgspec.msgpack.encode(admitted)
    assert admitted == msgspec.msgpack.decode(written, type=Service)


@given(st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.lists(st.integers())))
def test_what_is_no_record_is_refused_by_its_type(garbage):
    assert f"{type(garbage).__name__} is not a record" == refusal(garbage)


class Pretender(Service, frozen=True):
    """More than a service: whatever it adds would be lost on the way."""


class Touchy:
    """Compares with nobody."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    def __hash__(self) -> int:
        return 0


@pytest.mark.parametrize(
    "record",
    [
        service(7),
        service("a.mesh", ports=[Port("http", 80)]),
        service("a.mesh", ports=(("http", 80),)),
        service("a.mesh", ports=(Port("http", "80"),)),
        service("a.mesh", ports=(Port("http", 10**40),)),
        service("a.mesh", labels=(("k", "\ud800"),)),
        service("a.mesh", namespace=None),
        service("a.mesh", origin="f:1:1"),
        an_endpoint(addresses="10.0.0.1"),
        an_endpoint(addresses=("10.0.0.1",), weight=1.5),
        an_endpoint(addresses=("10.0.0.1",), health="dead"),
        an_endpoint(addresses=("10.0.0.1",), labels=lambda: None),
    ],
)
def test_a_record_of_the_wrong_types_is_refused(record):
    assert "not of the right types" in refusal(record)


def test_a_record_that_cannot_be_compared_is_refused_and_no_error():
    known = service("a.mesh", namespace="shop")
    with pytest.raises(admission.Refused, match="not of the right types: ambiguous"):
        admission.admit(service("a.mesh", namespace=Touchy()), known)
    assert "Pretender is not a record" == refusal(Pretender(hostname="a.mesh"))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (service(""), "a hostname is empty"),
        (service("Shop.mesh"), "'Shop.mesh' is not a hostname in lower case"),
        (service("a..mesh"), "'a..mesh' is not a hostname in lower case"),
        (service("a.*.mesh"), "'a.*.mesh' is not a hostname in lower case"),
        (service("a.mesh\n"), r"'a.mesh\n' is not a hostname in lower case"),
        (service("a" * 254), f"hostname {'a' * 40}… is longer than 253 characters"),
        (
            service("a.mesh", ports=(Port("x", 0),)),
            "service a.mesh: port 0 is not a number from 1 to 65535",
        ),
        (
            service("a.mesh", ports=(Port("x", 1), Port("x", 2))),
            "service a.mesh: two ports have the same name",
        ),
        (
            service("a.mesh", ports=(Port("x", 1), Port("y", 1))),
            "service a.mesh: two ports have the same number",
        ),
        (service("a.mesh", namespace="a/b"), "service a.mesh: 'a/b' is not a namespace"),
        (service("a.mesh", addresses=("vip",)), "service a.mesh: 'vip' is not an IP address"),
        (endpoints("a.mesh", "10.0.0.300"), "'10.0.0.300' is no IP address, DNS name or unix"),
        (endpoints("a.mesh", "unix://relative"), "'unix://relative' is no IP address"),
        (endpoints("a.mesh", "unix:///" + "x" * 107), "is no IP address"),
        (an_endpoint(addresses=()), "endpoints of a.mesh: an endpoint has no address"),
        (
            an_endpoint(addresses=("10.0.0.1", "db.example.com")),
            "several addresses of one endpoint have to be IP addresses",
        ),
        (an_endpoint(addresses=("10.0.0.1",), weight=-1), "weight -1 of 10.0.0.1 is not 0…"),
        (an_endpoint(addresses=("10.0.0.1",), weight=2**32), "weight 4294967296 of 10.0.0.1"),
        (an_endpoint(addresses=("10.0.0.1",), ports=(("http", 70000),)), "port 70000 of 10.0.0.1"),
    ],
)
def test_what_no_proxy_could_serve_is_refused_with_the_reason(record, reason):
    assert reason in refusal(record)


@pytest.mark.parametrize(
    "record",
    [
        service("*.shop.mesh"),
        service("x_y.mesh"),
        service("a.mesh", ports=(Port("dns", 53, Protocol.UDP), Port("dns-tcp", 53))),
        service("a.mesh", addresses=("10.96.0.0/12", "fd00::1")),
        an_endpoint(addresses=("10.0.0.1", "fd00::1"), weight=0),
        endpoints("a.mesh", "unix:///run/app.sock", "db.example.com", "::1"),
        endpoints("a.mesh"),
    ],
)
def test_what_is_unusual_and_sound_gets_in(record):
    assert record == admission.admit(record)
