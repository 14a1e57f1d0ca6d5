from __future__ import annotations

import asyncio

from pilot_core.model import Port, Protocol
from pilot_core.plan.carried import AS_TCP, NOT_CARRIED
from pilot_core.registry.notices import CONFLICT, LONELY
from registries import endpoints, registration, running, service


def puts(*records, source="s"):
    """An adapter that puts this, and stays."""

    async def run(sink):
        sink.put(source, records)
        sink.synced()
        await asyncio.Event().wait()

    return run


def speaks(hostname, *protocols):
    ports = tuple(Port(f"p{n}", n, protocol) for n, protocol in enumerate(protocols, 1))
    return puts(service(hostname, ports=ports), source=hostname)


async def test_registries_that_disagree_are_a_conflict_until_one_gives_way():
    ones = registration("dc1", puts(service("a.mesh", namespace="one")))
    twos = registration("dc2", puts(service("a.mesh", namespace="two")))
    async with running(ones, twos) as stage:
        problem = stage.problem(CONFLICT)
        assert ("dc2", "s", "a.mesh") == (problem.registry, problem.source, problem.object)
        assert problem.message == (
            "namespace of a.mesh is two here, but dc1/s takes precedence with one"
        )
        await stage.hub.reconfigure([ones])
        await stage.pass_time(1)
        assert [] == stage.codes


async def test_precedence_that_is_turned_round_turns_the_conflict_round():
    ones = registration("dc1", puts(service("a.mesh", namespace="one")))
    twos = registration("dc2", puts(service("a.mesh", namespace="two")))
    async with running(ones, twos) as stage:
        await stage.hub.reconfigure([twos, ones])
        await stage.pass_time(1)
        assert "dc1" == stage.problem(CONFLICT).registry
        assert "two" == stage.hub.world.services["a.mesh"].service.namespace


async def test_endpoints_whose_service_nobody_has_are_said_once_all_registries_are_read():
    lonely = registration("dc1", puts(endpoints("a.mesh", "10.0.0.1")))
    async with running(lonely) as stage:
        assert ("dc1", "a.mesh") == (
            stage.problem(LONELY).registry,
            stage.problem(LONELY).object,
        )
        await stage.hub.reconfigure([lonely, registration("dc2", puts(service("a.mesh")))])
        await stage.pass_time(1)
        assert [] == stage.codes


async def test_lonely_endpoints_are_shown_with_a_registry_that_has_them_now():
    both = [registration(name, puts(endpoints("a.mesh", "10.0.0.1"))) for name in ("dc1", "dc2")]
    async with running(*both) as stage:
        assert "dc1" == stage.problem(LONELY).registry
        await stage.hub.reconfigure(both[1:])
        await stage.pass_time(1)
        assert "dc2" == stage.problem(LONELY).registry


async def test_a_protocol_that_is_carried_as_tcp_is_said_once_until_nobody_has_it():
    first = registration("dc1", speaks("a.mesh", Protocol.REDIS))
    second = registration("dc2", speaks("b.mesh", Protocol.REDIS))
    plain = [
        registration(f"p{n}", speaks(f"p{n}.mesh", protocol))
        for n, protocol in enumerate((Protocol.TCP, Protocol.TLS, Protocol.HTTP))
    ]
    async with running(first, second, *plain) as stage:
        assert "redis" == stage.problem(AS_TCP).object
        await stage.hub.reconfigure([second, *plain])
        await stage.pass_time(1)
        assert [AS_TCP] == stage.codes
        await stage.hub.reconfigure(plain)
        await stage.pass_time(1)
        assert [] == stage.codes


async def test_ports_that_are_left_out_are_said_once_beside_those_carried_as_tcp():
    first = registration("dc1", speaks("dns.mesh", Protocol.UDP, Protocol.TCP))
    second = registration("dc2", speaks("game.mesh", Protocol.UDP, Protocol.REDIS))
    async with running(first, second) as stage:
        assert [AS_TCP, NOT_CARRIED] == stage.codes
        said = stage.problem(NOT_CARRIED)
        assert ("udp", True) == (said.object, "(first seen at " in said.message)
        await stage.hub.reconfigure([first])
        await stage.pass_time(1)
        assert [NOT_CARRIED] == stage.codes


async def test_a_port_that_changes_its_protocol_ends_its_note():
    async def run(sink):
        sink.put("s", [service("a.mesh", ports=(Port("main", 53, Protocol.UDP),))])
        sink.synced()
        await changed.wait()
        sink.put("s", [service("a.mesh", ports=(Port("main", 53, Protocol.TCP),))])
        await asyncio.Event().wait()

    changed = asyncio.Event()
    async with running(registration("dc1", run)) as stage:
        assert [NOT_CARRIED] == stage.codes
        changed.set()
        await stage.pass_time(1)
        assert [] == stage.codes
