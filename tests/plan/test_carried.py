"""What of a service is carried, and what is said about the rest."""

from __future__ import annotations

import pytest

from pilot_core.model import Port, Protocol, Severity
from pilot_core.plan import carried
from worlds import service


@pytest.mark.parametrize("hostname", ["web", "a.b-c.d_e", "*.x.mesh", "*", "1.example.com"])
def test_a_hostname_that_requests_can_name(hostname):
    assert carried.is_hostname(hostname)


@pytest.mark.parametrize(
    "hostname",
    ["", "Web", "a b", "a:80", "a|b", "ünïcode.mesh", "a.*.b", "-a", "a" * 254, "*a", "a\n"],
)
def test_a_hostname_that_would_break_the_names_made_of_it(hostname):
    assert not carried.is_hostname(hostname)
    assert () == carried.ports(service(hostname))


def test_numbers_that_are_none_and_doubled_ones_are_left_out():
    ports = (Port("a", 80), Port("b", 0), Port("c", 65536), Port("d", 80), Port("e", 65535))
    assert ["a", "e"] == [port.name for port in carried.ports(service("web", ports=ports))]


def test_datagrams_leave_the_number_to_the_stream():
    ports = (Port("dns", 53, Protocol.UDP), Port("dns-tcp", 53))
    assert ["dns-tcp"] == [port.name for port in carried.ports(service("web", ports=ports))]


def test_a_protocol_that_proxies_do_not_read_is_said_to_be_carried_as_tcp_once():
    ports = (Port("a", 1, Protocol.REDIS), Port("b", 2, Protocol.REDIS), Port("c", 3, Protocol.TLS))
    notes = carried.notes(service("web", ports=ports))
    assert [(carried.AS_TCP, "redis", Severity.INFO)] == [
        (note.code, note.object, note.severity) for note in notes
    ]


def test_datagrams_are_said_not_to_be_carried():
    notes = carried.notes(service("web", ports=(Port("dns", 53, Protocol.UDP),)))
    assert [(carried.NOT_CARRIED, "udp", Severity.INFO)] == [
        (note.code, note.object, note.severity) for note in notes
    ]


def test_there_is_nothing_to_say_about_http_and_streams():
    ports = tuple(
        Port(p, n, p)
        for n, p in enumerate((Protocol.HTTP, Protocol.GRPC, Protocol.TCP, Protocol.HTTPS), 1)
    )
    assert () == carried.notes(service("web", ports=ports))
