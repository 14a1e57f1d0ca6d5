"""What a real emitter said, replayed: each step ends with the table that a real router had."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pilot_adapter_cloudfoundry import CloudFoundry
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig, NatsConfig
from pilot_adapter_cloudfoundry.convert import Context, Made
from pilot_adapter_cloudfoundry.emitters import Emitters
from pilot_adapter_cloudfoundry.kinds import kinds
from pilot_adapter_cloudfoundry.route import Uri
from pilot_adapter_cloudfoundry.table import Table
from route_emitter import RouteEmitter

from foundation import eps, recorded
from nats_server import NatsServer
from pilot_core.document import Duration
from pilot_core.model import Endpoints
from pilot_core.testing.session import host, session

HTTP, INTERNAL = 0, 1
CONFIG = CloudFoundryConfig(nats=NatsConfig(servers=("nats://127.0.0.1:4222",)))


class Replay:
    """What emitters said, and what the adapter makes of it."""

    def __init__(self) -> None:
        self._emitters = Emitters(CONFIG, host())
        self.router = self._emitters.router.table
        self.discovery = self._emitters.discovery.table
        self._kinds = kinds(CONFIG, None, self.router, self.discovery)
        self._messages = recorded("nats.jsonl")

    def until(self, t: float) -> None:
        while self._messages and self._messages[0]["t"] < t:
            message = self._messages.pop(0)
            registry, _, verb = message["subject"].rpartition(".")
            of_routers = registry == "router"
            taker = self._emitters.router if of_routers else self._emitters.discovery
            taker.take(verb, json.dumps(message["data"]).encode(), message["t"])

    def made(self, kind: int, name: str) -> Made:
        return self._kinds[kind].made(name, Context(CONFIG))


def seen(table: Table) -> dict[str, list[tuple[str, str, bool]]]:
    return {
        host + path: sorted((f"{r.host}:{r.port}", r.id, bool(r.tls_name)) for r in routes)
        for host in table.names
        for path, routes in table.pools(host).items()
    }


def steps() -> list[dict[str, Any]]:
    return recorded("steps.jsonl")


@pytest.mark.parametrize("step", range(len(steps())))
def test_the_table_is_the_one_that_the_router_had(step: int) -> None:
    replay, record = Replay(), steps()[step]
    replay.until(record["t"])

    had = {
        text: sorted((address, id, tls) for address, id, tls in found)
        for text, found in record["gorouter_routes_before"].items()
    }
    assert had == seen(replay.router)
    assert all(Uri.parse(text).host in text for text in had)


def test_an_instance_is_known_by_its_guid_and_served_on_its_tls_port() -> None:
    replay = Replay()
    replay.until(4.5)

    made = replay.made(HTTP, "cart.example.com")
    assert () == made.problems
    service, endpoints = made.records
    assert isinstance(endpoints, Endpoints)
    assert "cart.example.com" == service.hostname
    first = endpoints.endpoints[0]
    guid = "a3f6c9d2-1b7e-4c55-7f10-0c1e"
    assert ("10.0.16.10", (("http", 61011),), guid) == (first.address, first.ports, first.tls_name)
    labels = dict(first.labels)
    assert ("shop", "acme", "0") == (
        labels["cf.app.name"],
        labels["cf.org.name"],
        labels["cf.instance.index"],
    )


def test_an_internal_route_has_its_containers_addresses() -> None:
    replay = Replay()
    replay.until(4.5)

    def addresses(hostname: str) -> list[str]:
        made = replay.made(INTERNAL, hostname)
        found = (r.endpoints for r in made.records if isinstance(r, Endpoints))
        return [endpoint.address for endpoints in found for endpoint in endpoints]

    assert ["10.255.77.4", "10.255.77.5"] == addresses("cart.apps.internal")
    assert ["10.255.77.5"] == addresses("1.cart.apps.internal")


def test_nothing_is_left_when_everything_was_deleted() -> None:
    replay = Replay()
    replay.until(float("inf"))
    assert ({}, {}) == (seen(replay.router), seen(replay.discovery))


async def test_through_a_real_server_each_step_ends_with_the_table_that_the_router_had() -> None:
    async with NatsServer() as server:
        nats = NatsConfig(servers=(server.url,))
        config = CloudFoundryConfig(nats=nats, settle=Duration(0.1), internal_ports=(8080,))
        async with (
            RouteEmitter(server.url) as emitter,
            session(CloudFoundry(config, host())) as sink,
        ):
            await sink.until(lambda: sink.is_synced)
            messages = recorded("nats.jsonl")
            for record in steps():
                while messages and messages[0]["t"] < record["t"]:
                    message = messages.pop(0)
                    await emitter.publish(message["subject"], message["data"])
                had = record["gorouter_routes_before"]
                expected = {
                    name: sorted((address, guid) for address, guid, _ in had.get(name, ()))
                    for name in ("cart.example.com", "cart2.example.com")
                }
                await sink.until(lambda e=expected: {name: eps(sink, name) for name in e} == e)
