"""The sink that plugin authors test with: what it takes and refuses is what the daemon would."""

from __future__ import annotations

import pytest

from memory import Registry, Sound
from pilot_core.model import Endpoint, Endpoints, Service
from pilot_core.testing import RecordingSink, host, session


def service(hostname: str) -> Service:
    return Service(hostname=hostname)


def endpoints(hostname: str, *addresses: str) -> Endpoints:
    found = tuple(Endpoint(addresses=(address,)) for address in addresses)
    return Endpoints(hostname=hostname, endpoints=found)


async def test_it_shows_what_is_served() -> None:
    sink = RecordingSink()
    sink.put("one", [service("b.mesh"), endpoints("b.mesh", "10.0.0.2", "10.0.0.1")])
    sink.put("two", [service("a.mesh")])

    assert ["a.mesh", "b.mesh"] == sink.hostnames
    assert {"a.mesh": [], "b.mesh": ["10.0.0.1", "10.0.0.2"]} == sink.view
    assert ["10.0.0.2", "10.0.0.1"] == sink.addresses("b.mesh")
    assert ["one", "two"] == sink.puts == list(sink.sources)


async def test_what_the_daemon_would_refuse_is_a_problem_here() -> None:
    sink = RecordingSink()
    sink.put("one", [service("No Hostname"), service("a.mesh")])

    [(origin, message)] = sink.problems
    assert "test/one" == origin
    assert "not a hostname" in message
    assert ["a.mesh"] == sink.hostnames


async def test_changes_are_told_once() -> None:
    sink = RecordingSink()
    sink.put("one", [service("a.mesh"), service("b.mesh")])
    assert {("service", "a.mesh"), ("service", "b.mesh")} == sink.take_changes()
    sink.put("one", [service("a.mesh")])
    assert {("service", "b.mesh")} == sink.take_changes()
    sink.put("one", [service("a.mesh")])
    assert set() == sink.take_changes()


async def test_the_next_session_keeps_what_there_was_until_it_has_synced() -> None:
    sink = RecordingSink()
    sink.put("one", [service("a.mesh")])
    sink.put("two", [service("b.mesh")])
    sink.synced()
    assert {"a.mesh": [], "b.mesh": []} == sink.synced_with

    sink.next_session()
    assert (False, None) == (sink.is_synced, sink.synced_with)
    sink.put("two", [service("b.mesh")])
    assert ["a.mesh", "b.mesh"] == sink.hostnames
    sink.synced()
    assert {"b.mesh": []} == sink.synced_with


async def test_sweeps_are_kept() -> None:
    sink = RecordingSink()
    for name in ("x/1", "x/2", "y/1"):
        sink.put(name, [service(f"{name[0]}{name[2]}.mesh")])
    with sink.resync("x/"):
        sink.put("x/1", [service("x1.mesh")])

    assert [{"x/2"}] == sink.sweeps


async def test_an_error_in_the_session_ends_the_block() -> None:
    class Failing(Sound):
        def registry(self) -> Registry:
            raise ConnectionError("no registry")

    with pytest.raises(ExceptionGroup) as caught:
        async with session(Failing(None, host())) as sink:
            await sink.until(lambda: sink.is_synced)
    assert "no registry" in str(caught.value.exceptions[0])
