"""What Consul's configuration entries become: pure, no server needed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pilot_adapter_consul.policies import policy, seconds
from pilot_adapter_consul.scope import Scope
from pilot_core.model import Protocol
from pilot_core.model.policy import (
    Failover,
    How,
    Match,
    Permission,
    Route,
    Rule,
    Subset,
    Target,
    Where,
)

WEB = "web.service.consul"


def made(kind: str, scope: Scope = Scope(), **fields: Any) -> Any:  # noqa: B008  it is frozen
    return policy(kind, {"Kind": kind, "Name": "web", "ModifyIndex": 7, **fields}, scope)


def test_defaults_say_the_protocol_and_what_cannot_be_read_is_named():
    found = made(
        "service-defaults",
        Protocol="grpc",
        MeshGateway={},
        UpstreamConfig={"Defaults": {"ConnectTimeoutMs": 1000, "MeshGateway": {}}},
        Meta={"a": "b"},
    )

    assert ("service-defaults/web", WEB, Protocol.GRPC) == (
        found.name,
        found.hostname,
        found.protocol,
    )
    assert (("UpstreamConfig",), "service-defaults/web") == (found.unread, found.origin.place)


def test_a_splitter_is_one_route_with_shares():
    found = made(
        "service-splitter",
        Splits=[
            {"Weight": 99.5, "ServiceSubset": "v1"},
            {"Weight": 0.5, "Service": "next", "ResponseHeaders": {"Set": {"x": "y"}}},
        ],
    )

    shares = (Target(WEB, "v1", 9950), Target("next.service.consul", "", 50))
    assert (Route(targets=shares),) == found.routes
    assert ("Splits.ResponseHeaders",) == found.unread


def test_a_router_s_conditions_and_destinations_are_kept():
    http = {
        "PathPrefix": "/x",
        "Methods": ["PUT", "GET"],
        "Header": [{"Name": "a", "Exact": "b", "Invert": True}],
        "QueryParam": [{"Name": "q", "Present": True}],
    }
    destination = {
        "ServiceSubset": "v2",
        "PrefixRewrite": "/",
        "RequestTimeout": "1.5s",
        "NumRetries": 3,
        "RetryOn": ["reset"],
        "RetryOnConnectFailure": True,
        "RetryOnStatusCodes": [503],
    }
    found = made(
        "service-router", Routes=[{"Match": {"HTTP": http}, "Destination": destination}, {}]
    )

    conditions = (
        Match(Where.PATH, How.PREFIX, "/x"),
        Match(Where.METHOD, How.REGEX, "GET|PUT"),
        Match(Where.HEADER, How.EXACT, "b", "a", is_negated=True),
        Match(Where.QUERY, How.PRESENT, "", "q"),
    )
    first = Route(
        matches=(conditions,),
        targets=(Target(WEB, "v2"),),
        prefix_rewrite="/",
        timeout=1.5,
        retries=3,
        retry_on=("reset", "503", "connect-failure"),
    )
    assert (first, Route(targets=(Target(WEB),))) == found.routes
    assert () == found.unread


def test_a_resolver_s_subsets_failover_and_timeouts_are_kept():
    found = made(
        "service-resolver",
        DefaultSubset="v1",
        Subsets={
            "v1": {"Filter": "Service.Meta.version == v1", "OnlyPassing": True},
            "odd": {"Filter": "Service.Tags contains x"},
        },
        Failover={
            "*": {"Datacenters": ["dc2"]},
            "v1": {"Targets": [{"Peer": "east", "ServiceSubset": "v1"}, {"Service": "spare"}]},
        },
        ConnectTimeout="15s",
        RequestTimeout="1m",
        LoadBalancer={"Policy": "ring_hash", "HashPolicies": [{"Field": "header"}]},
    )

    assert (
        Subset(name="odd", expression="Service.Tags contains x"),
        Subset(name="v1", labels=(("version", "v1"),), only_healthy=True),
    ) == found.subsets
    assert (
        Failover("*", (Target("web.service.dc2.consul"),)),
        Failover(
            "v1", (Target("web.service.east.peer.consul", "v1"), Target("spare.service.consul"))
        ),
    ) == found.failover
    assert ("v1", "ring_hash", 15.0) == (
        found.default_subset,
        found.balancing,
        found.connect_timeout,
    )
    assert (Route(targets=(Target(WEB),), timeout=60.0),) == found.routes
    assert ("LoadBalancer.HashPolicies",) == found.unread


def test_a_resolver_that_redirects_is_a_route_elsewhere():
    found = made("service-resolver", Redirect={"Service": "next", "Datacenter": "dc2"})

    assert (Route(targets=(Target("next.service.dc2.consul"),)),) == found.routes


def test_intentions_are_rules_in_the_order_of_their_precedence():
    permissions = [
        {"Action": "deny", "HTTP": {"PathExact": "/secret"}},
        {"Action": "allow", "HTTP": {"Methods": ["GET"]}, "JWT": {"Providers": [{"Name": "x"}]}},
    ]
    found = made(
        "service-intentions",
        Sources=[
            {"Name": "*", "Action": "deny", "Precedence": 8, "Type": "consul"},
            {"Name": "api", "Action": "allow", "Precedence": 9, "Peer": "east"},
            {"Name": "admin", "Permissions": permissions, "Precedence": 9},
        ],
    )

    admin = (
        Permission(is_allowed=False, matches=(Match(Where.PATH, How.EXACT, "/secret"),)),
        Permission(is_allowed=True, matches=(Match(Where.METHOD, How.EXACT, "GET"),)),
    )
    assert (
        Rule(caller="api.service.east.peer.consul", is_allowed=True, precedence=9),
        Rule(caller="admin.service.consul", permissions=admin, precedence=9),
        Rule(caller="*", is_allowed=False, precedence=8),
    ) == found.rules
    assert ("Sources.Permissions.JWT",) == found.unread


def test_intentions_for_everybody_are_for_any_hostname():
    found = policy("service-intentions", {"Name": "*", "Sources": None}, Scope("dc2"))

    assert ("dc2/service-intentions/*", "*", ()) == (found.name, found.hostname, found.rules)


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("service-intentions", {"Sources": [{"Name": "a", "Action": "maybe"}]}, "no action"),
        ("service-splitter", {"Splits": [{"Weight": "much"}]}, r"\$.Splits\[0\].Weight"),
        ("service-resolver", {"ConnectTimeout": "soon"}, '"soon" is no duration'),
    ],
)
def test_what_is_wrong_in_an_entry_is_named(kind, fields, said):
    with pytest.raises((ValueError, msgspec.ValidationError), match=said):
        made(kind, **fields)


@pytest.mark.parametrize(
    ("said", "expected"),
    [("", None), (0, None), ("1m30s", 90.0), ("250ms", 0.25), ("1h", 3600.0), (2_000_000_000, 2.0)],
)
def test_durations_are_written_as_in_go(said, expected):
    assert expected == seconds(said)
