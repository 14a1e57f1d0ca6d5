"""Messages and what becomes of them, with values."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig, NatsConfig
from pilot_adapter_cloudfoundry.convert import Context, Made
from pilot_adapter_cloudfoundry.emitters import Emitters
from pilot_adapter_cloudfoundry.kinds import kinds

from pilot_core.adapter import ConfigError
from pilot_core.model import Endpoint, Endpoints, Locality, Protocol, Service, Traffic
from pilot_core.testing.session import host

CONFIG = CloudFoundryConfig(nats=NatsConfig(servers=("nats://127.0.0.1:4222",)), region="r1")
SHOP = {"uris": ["shop.example.com"], "host": "10.0.0.1", "port": 8080}


class Told:
    """HTTP routes that have been told of."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        emitters = Emitters(CONFIG, host())
        for message in messages:
            emitters.router.take("register", json.dumps({**SHOP, **message}).encode(), 0)
        http, _, _ = kinds(CONFIG, None, emitters.router.table, emitters.discovery.table)
        self._made: Made = http.made("shop.example.com", Context(CONFIG))

    @property
    def problems(self) -> tuple[str, ...]:
        return self._made.problems

    @property
    def traffic(self) -> list[Traffic]:
        return [r for r in self._made.records if isinstance(r, Traffic)]

    @property
    def service(self) -> Service | None:
        made = self._made.records
        return next((r for r in made if isinstance(r, Service)), None)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        made = self._made.records
        return next((r.endpoints for r in made if isinstance(r, Endpoints)), ())


def test_null_and_missing_fields_say_nothing() -> None:
    told = Told({"tags": None, "options": None, "app": None, "private_instance_index": 3})
    assert () == told.problems
    (endpoint,) = told.endpoints
    assert ("", (("cf.instance.index", "3"),)) == (endpoint.tls_name, endpoint.labels)


def test_where_there_is_a_tls_port_it_is_the_only_one() -> None:
    (endpoint,) = Told({"tls_port": 61001, "server_cert_domain_san": "i0"}).endpoints
    assert ((("http", 61001),), "i0") == (endpoint.ports, endpoint.tls_name)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"host": "cell-7"}, "host 'cell-7' is not an IP address"),
        ({"port": 0}, "port 0 of 10.0.0.1 is not a number from 1 to 65535"),
        ({"port": 65536}, "port 65536 of 10.0.0.1 is not a number from 1 to 65535"),
        ({"tls_port": 61001}, "10.0.0.1:61001 speaks TLS, and does not say under what name"),
    ],
)
def test_what_no_proxy_could_use_is_a_problem(message: dict[str, Any], problem: str) -> None:
    told = Told(message)
    assert (problem,) == told.problems
    assert () == told.endpoints


@pytest.mark.parametrize(
    "guard",
    [
        {"route_service_url": "https://auth.example.com"},
        {"options": {"route_policy_scope": "space"}},
    ],
)
def test_nobody_goes_around_what_stands_before_a_route(guard: dict[str, Any]) -> None:
    told = Told({}, {**guard, "host": "10.0.0.2"})
    assert told.service is not None
    assert () == told.endpoints
    (problem,) = told.problems
    assert "a route service or a route policy stands before it" in problem


def test_no_request_for_a_path_reaches_another_application() -> None:
    api = {"uris": ["shop.example.com/api"], "host": "10.0.0.2", "app": "api"}
    told = Told({"app": "web"}, api)
    assert () == told.endpoints
    (problem,) = told.problems
    assert "routes by path are not applied yet, and it has /api" in problem


def test_a_path_of_the_same_processes_makes_no_difference() -> None:
    both = {"uris": ["shop.example.com", "shop.example.com/api"], "app": "web"}
    told = Told(both, {"app": "web", "host": "10.0.0.2"})
    assert () == told.problems
    assert ["10.0.0.1", "10.0.0.2"] == [endpoint.address for endpoint in told.endpoints]


def test_a_path_that_leads_to_another_port_makes_a_difference() -> None:
    same = {"app": "web", "private_instance_id": "i0"}
    told = Told(same, {**same, "uris": ["shop.example.com/admin"], "port": 9090})
    assert () == told.endpoints
    assert 1 == len(told.problems)


def test_a_service_speaks_http2_when_all_its_instances_do() -> None:
    both = Told({"protocol": "http2"}, {"protocol": "http2", "host": "10.0.0.2"}).service
    one = Told({"protocol": "http2"}, {"host": "10.0.0.2"}).service
    assert both is not None
    assert one is not None
    assert (Protocol.HTTP2, Protocol.HTTP) == (both.ports[0].protocol, one.ports[0].protocol)


def test_a_zone_is_known_within_its_region() -> None:
    (endpoint,) = Told({"availability_zone": "z1"}).endpoints
    assert Locality("r1", "z1") == endpoint.locality


@pytest.mark.parametrize(
    "url", ["nats.example.com:4222", "nats://user:secret@nats.example.com:4222", "http://x:1"]
)
def test_a_server_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CloudFoundryConfig(nats=NatsConfig(servers=(url,)))
    assert "nats.servers[0]" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_paths_are_told_longest_first_by_whole_segments_and_in_any_case() -> None:
    def route(path: str, process: str, host: str) -> dict[str, Any]:
        tags = {"process_id": process}
        return {"uris": [f"shop.example.com{path}"], "host": host, "app": process, "tags": tags}

    told = Told(
        route("", "web", "10.0.0.1"),
        route("/API", "api", "10.0.0.2"),
        route("/api/v1", "old", "10.0.0.3"),
        route("/api/v1", "old", "10.0.0.4"),
    )
    [traffic] = told.traffic
    targets = [[(t.subset, t.weight) for t in route.targets] for route in traffic.routes]
    assert [[("old", 2)], [("api", 1)], [("web", 1)]] == targets
    patterns = [route.matches[0][0].value for route in traffic.routes if route.matches]
    first, second = (re.compile(pattern) for pattern in patterns)
    assert first.fullmatch("/Api/V1/items")
    assert not first.fullmatch("/api/v1x")
    assert second.fullmatch("/api")
    assert second.fullmatch("/api/v2")
    assert not second.fullmatch("/apix")
    assert ["api", "old", "web"] == [subset.name for subset in traffic.subsets]


@pytest.mark.parametrize(
    ("options", "balancing", "unread"),
    [
        ({"loadbalancing": "round-robin"}, None, ()),
        ({"loadbalancing": "least-connection"}, "least_request", ()),
        (
            {"loadbalancing": "hash", "hash_header": "x-user", "hash_balance": "1.25"},
            "ring_hash",
            ("hash by the header x-user", "hash_balance 1.25"),
        ),
        ({"loadbalancing": "hash", "hash_balance": "much"}, "ring_hash", ()),
        ({"loadbalancing": "newest"}, "", ("loadbalancing newest",)),
    ],
)
def test_a_routes_options_are_told_and_it_is_served(
    options: dict[str, str], balancing: str | None, unread: tuple[str, ...]
) -> None:
    told = Told({"options": options})
    assert 1 == len(told.endpoints)
    found = [(traffic.balancing, traffic.unread) for traffic in told.traffic]
    assert ([] if balancing is None else [(balancing, unread)]) == found
