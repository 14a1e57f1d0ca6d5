"""Everybody who is connected: who shares what, who is woken by what, and how it is shown."""

from __future__ import annotations

import pytest

from pilot_core.model import (
    NO_LOCALITY,
    Claim,
    Inbound,
    InboundTls,
    Locality,
    MeshService,
    Shard,
    TlsMode,
)
from pilot_core.plan import layers as plans
from pilot_core.testing import FakeClock
from pilot_xds import rendering, status
from pilot_xds.connection import Connection
from pilot_xds.layers import Layers
from pilot_xds.types import Variant
from pilot_xds.wire import Malformed, Reader
from worlds import endpoint, service
from xds_messages import CDS, EDS, LDS, delta, node, read
from xds_server import Server

REVIEWS = "outbound|80||reviews.shop.mesh"


@pytest.fixture
def server():
    made = Server(FakeClock())
    made.put("reviews.shop.mesh")
    made.fleet.open()
    return made


def connect(server, id="sidecar~10.0.0.9~web.shop~mesh", kind=CDS, names=(), **more):
    made = Connection(server.fleet, Variant.DELTA, Reader(), "ipv4:127.0.0.1:1")
    made.receive(delta(kind, names, node=node(id, **more)))
    return made


def hear_all(connection):
    found = []
    while (response := connection.next()) is not None:
        found.append(read(Variant.DELTA, response.data))
        connection.receive(delta(found[-1].type, response_nonce=found[-1].nonce))
    return found


def test_proxies_that_see_the_same_share_their_snapshot(server):
    one, other = connect(server, "one"), connect(server, "other")
    assert one.cohort is other.cohort
    assert one.cohort.snapshot is other.cohort.snapshot


def test_proxies_that_see_partly_the_same_share_layers(server):
    one = connect(server, "sidecar~10.0.0.1~a.shop~x").cohort.snapshot
    other = connect(server, "sidecar~10.0.0.2~b.bank~x").cohort.snapshot
    assert one is not other
    assert one.layers(CDS)[0] is other.layers(CDS)[0]


def test_a_change_of_endpoints_touches_endpoints_alone(server):
    before = connect(server).cohort
    old = before.snapshot
    server.put("reviews.shop.mesh", endpoints=("10.0.0.1", "10.0.0.2"))
    for kind in (CDS, LDS):
        assert all(
            a is b for a, b in zip(old.layers(kind), before.snapshot.layers(kind), strict=True)
        )
    assert old.version(EDS) != before.snapshot.version(EDS)


def test_an_equal_world_wakes_nobody(server):
    me = connect(server)
    hear_all(me)
    snapshot = me.cohort.snapshot
    server.put("reviews.shop.mesh")
    assert me.cohort.snapshot is snapshot
    assert None is me.next()


def test_a_service_that_a_proxy_does_not_see_does_not_wake_it(server):
    me = connect(server, "sidecar~10.0.0.1~a.bank~x")
    hear_all(me)
    snapshot = me.cohort.snapshot
    old = server.fleet.world
    hidden = service("hidden.shop.mesh", visibility=(".",))
    new, changed = old.apply({hidden.hostname: MeshService(hidden, ("file",))}, {})
    server.fleet.update(old, new, changed)
    assert me.cohort.snapshot is snapshot
    seen = connect(server, "sidecar~10.0.0.1~a.shop~x")
    assert "outbound|80||hidden.shop.mesh" in hear_all(seen)[0].names


def test_versions_are_equal_on_servers_that_saw_other_histories(server):
    other = Server(FakeClock())
    other.put("b.shop.mesh", "reviews.shop.mesh", endpoints=("10.0.0.7",))
    other.drop("b.shop.mesh")
    other.put("reviews.shop.mesh")
    other.fleet.open()
    one, two = (connect(s).cohort.snapshot for s in (server, other))
    for kind in (CDS, EDS, LDS):
        assert one.version(kind) == two.version(kind)


def test_the_time_of_a_change_is_measured_until_everything_is_acknowledged(server):
    me = connect(server)
    hear_all(me)
    server.put("new.shop.mesh")
    response = me.next()
    server.clock._now += 3
    me.receive(delta(CDS, response_nonce=read(Variant.DELTA, response.data).nonce))
    assert (1, 3) == (
        server.count("pilot_proxy_convergence_time_count"),
        server.count("pilot_proxy_convergence_time_sum"),
    )


def test_a_node_is_read_as_far_as_it_matters(server):
    metadata = {
        "NAMESPACE": "bank",
        "LABELS": {"version": "v1", "odd": 3},
        "INSTANCE_IPS": "10.0.0.1,fd00::7",
        "deep": {"deeper": [1, None, True, {"x": "y"}]},
    }
    made = node("anything", locality={"region": "eu", "zone": "a"})
    made.metadata.update(metadata)
    made.user_agent_name = "envoy"
    made.user_agent_build_version.version.major_number = 1
    made.user_agent_build_version.version.minor_number = 40
    connection = Connection(server.fleet, Variant.DELTA, Reader(), "peer")
    connection.receive(delta(CDS, node=made))
    proxy = connection.proxy
    assert ("bank", ("10.0.0.1", "fd00::7"), "1.40.0", (("version", "v1"),)) == (
        proxy.namespace,
        proxy.addresses,
        proxy.version,
        proxy.labels,
    )
    assert ("eu", "a") == (proxy.locality.region, proxy.locality.zone)


def test_metadata_nested_without_end_is_no_harm(server):
    made = node("anything")
    inner = made.metadata
    for _ in range(25):
        inner = inner.fields["x"].struct_value
    connection = Connection(server.fleet, Variant.DELTA, Reader(), "peer")
    connection.receive(delta(CDS, node=made))
    assert "default" == connection.proxy.namespace


def test_a_node_that_cannot_be_read_is_malformed(server):
    connection = Connection(server.fleet, Variant.DELTA, Reader(), "peer")
    with pytest.raises(Malformed, match="the node cannot be read"):
        connection.receive(b"\x0a\x02\xff\xff" + delta(CDS))


# How it is shown


def test_a_proxy_is_shown_with_what_it_said_and_how_far_it_is(server):
    me = connect(server, user_agent_name="envoy")
    hear_all(me)
    (shown,) = server.states()
    assert ("sidecar~10.0.0.9~web.shop~mesh", "shop", "web", "10.0.0.9", "none", "delta") == (
        shown.id,
        shown.namespace,
        shown.workload,
        shown.address,
        shown.mode,
        shown.variant,
    )
    clusters = shown.types["CDS"]
    assert ("synced", clusters.version) == (clusters.state, clusters.acked)
    assert None is shown.types["RDS"]
    assert 1_700_000_000.0 == shown.connected_since == clusters.since


def test_the_platform_of_a_proxy_is_the_registry_that_knows_its_address(server):
    connect(server, "sidecar~10.0.0.1~reviews.shop~x")
    connect(server, "sidecar~10.9.9.9~web.shop~x")
    assert ["file", None] == [shown.platform for shown in server.states()]


def test_a_proxy_is_found_by_its_id_or_by_its_workload_if_it_is_the_only_one(server):
    one = connect(server, "sidecar~10.0.0.1~web.shop~x")
    two = connect(server, "sidecar~10.0.0.2~web.bank~x")
    assert one is status.find(server.fleet, "sidecar~10.0.0.1~web.shop~x")
    assert two is status.find(server.fleet, "web.bank")
    assert None is status.find(server.fleet, "web")
    assert None is status.find(server.fleet, "nobody")
    assert ["sidecar~10.0.0.1~web.shop~x", "sidecar~10.0.0.2~web.bank~x"] == status.namesakes(
        server.fleet, "web"
    )
    assert {"web", "web.shop", "web.bank"} <= status.names(server.fleet)


def test_the_newest_connection_of_a_proxy_is_found(server):
    connect(server, "twin")
    server.clock._now += 1
    newer = connect(server, "twin")
    assert newer is status.find(server.fleet, "twin")


def test_what_the_server_holds_for_a_proxy_is_shown_as_plain_data(server):
    me = connect(server)
    held = {k: list(v) for k, v in status.config(me, ("clusters", "endpoints")).items()}
    assert REVIEWS in [cluster["name"] for cluster in held["clusters"]]
    (endpoints,) = held["endpoints"]
    where = endpoints["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
    assert {"socket_address": {"address": "10.0.0.1", "port_value": 80}} == where
    assert rendering.of_snapshot(me.cohort.snapshot, ("clusters",))["clusters"] == held["clusters"]


def test_what_cannot_be_built_is_a_problem_that_leaves_the_rest_alone(server):
    me = connect(server)
    hear_all(me)
    odd = endpoint("10.0.0.1", locality=Locality("no text: \ud800"))
    server._apply({"odd.shop.mesh": service("odd.shop.mesh")}, {"odd.shop.mesh": (odd,)})
    (problem,) = server.problems
    # Its cluster has the same name, and can be built.
    assert ("resource-not-built", "EDS", "outbound|80||odd.shop.mesh", "shop.yaml:13:1") == (
        problem.code,
        problem.source,
        problem.object,
        problem.origin,
    )
    assert "outbound|80||odd.shop.mesh" in hear_all(me)[0].names
    server.put("odd.shop.mesh")
    assert [] == list(server.problems)


def say(server, *claims):
    old = server.fleet.world
    server.fleet.update(old, *old.apply({}, {}, {("inbound", "shop"): claims}))


STRICT = Claim("file", "f", Inbound(name="shop", namespace="shop", mode=InboundTls.STRICT))


def test_a_sidecar_without_an_agent_is_named_where_only_certificates_may_connect(server):
    server.put("reviews.shop.mesh", endpoints=("10.0.0.9",))
    me = connect(server)
    say(server, STRICT)
    [problem] = server.problems
    assert ("strict-without-agent", me.name) == (problem.code, problem.object)
    assert problem.message.startswith("10.0.0.9:80: only callers with a certificate")
    say(server)
    assert [] == list(server.problems)
    say(server, STRICT)
    assert 1 == len(list(server.problems))
    server.fleet.leave(me)
    assert [] == list(server.problems)


def test_a_sidecar_is_named_whose_callers_are_told_to_come_in_plaintext(server):
    server.put("reviews.shop.mesh", endpoints=("10.0.0.9",))
    me = connect(server, "sidecar~10.0.0.9~web.shop~mesh", metadata={"PILOT_TLS": "agent"})
    say(server, STRICT)
    [problem] = server.problems
    assert ("strict-but-plain", me.name) == (problem.code, problem.object)
    mutual = endpoint("10.0.0.9", tls=TlsMode.MUTUAL)
    old = server.fleet.world
    here = {"reviews.shop.mesh": (Shard("file", "f", (mutual,)),)}
    server.fleet.update(old, *old.apply({}, here))
    assert [] == list(server.problems)


def test_where_agents_are_expected_the_first_proxy_with_one_finds_its_layers_made():
    made = Layers(lambda kind, name, words: None, "mesh.example")
    before = len(made)
    made.use(plans.PublicClusters("mesh.example"))
    made.use(plans.PublicEndpoints(NO_LOCALITY, True))
    assert before == len(made)
