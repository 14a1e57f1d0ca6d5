"""The bootstrap of an Envoy: it says who it is, and Envoy takes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf import json_format

from envoy_config import validate
from pilot_core.model import Locality, Mode, Proxy, ProxyKind
from pilot_core.model.proxy import describe
from pilot_xds import protos
from pilot_xds.bootstrap import XDS_CLUSTER, bootstrap, node
from pilot_xds.proxy_options import ProxyOptions

PLAIN = ProxyOptions(workload="web")
FULL = ProxyOptions(
    workload="web-v1.2",
    namespace="shop",
    address="fd00::7",
    service_account="web",
    labels={"version": "v1", "app": "web"},
    locality=Locality("eu", "a", "1"),
    xds="pilot.example.com:15010",
    mode=Mode.REDIRECT,
    outbound={"127.0.0.1:9001": "billing.bank.mesh:80"},
    inbound={"9080": "127.0.0.1:9000"},
    http_listener="127.0.0.1:8000",
    admin="127.0.0.1:0",
    is_sotw=True,
)
GATEWAY = ProxyOptions(workload="edge", namespace="shop", kind=ProxyKind.ROUTER)
ALL = pytest.mark.parametrize("options", [PLAIN, FULL, GATEWAY], ids=["plain", "full", "gateway"])


def read(options: ProxyOptions) -> Proxy:
    """The proxy that the server sees in what the bootstrap says."""
    said = node(options)
    place = said.get("locality", {})
    return describe(
        said["id"],
        said["metadata"],
        locality=Locality(*(place.get(level, "") for level in ("region", "zone", "sub_zone"))),
    )


@ALL
def test_it_is_a_bootstrap_of_envoy_s_api(options):
    made = json_format.ParseDict(
        bootstrap(options), protos.Bootstrap(), descriptor_pool=protos.POOL
    )
    assert options.node_id == made.node.id


@pytest.mark.envoy
@ALL
def test_envoy_takes_it(options, tmp_path: Path):
    assert "" == validate(bootstrap(options), tmp_path)


def test_the_server_reads_in_it_what_was_said():
    assert Proxy(
        id="sidecar~fd00::7~web-v1.2.shop~shop.svc.cluster.local",
        addresses=("fd00::7",),
        workload="web-v1.2",
        namespace="shop",
        service_account="web",
        labels=(("app", "web"), ("version", "v1")),
        locality=Locality("eu", "a", "1"),
        mode=Mode.REDIRECT,
        outbound=(("127.0.0.1:9001", "billing.bank.mesh:80"),),
        inbound=((9080, "127.0.0.1:9000"),),
        http_listener="127.0.0.1:8000",
    ) == read(FULL)


def test_a_gateway_says_that_it_is_one():
    assert ProxyKind.ROUTER is read(GATEWAY).kind


def test_what_was_not_said_is_not_in_it():
    assert {"NAMESPACE", "WORKLOAD_NAME", "INSTANCE_IPS", "INTERCEPTION_MODE"} == set(
        PLAIN.metadata()
    )
    assert "locality" not in node(PLAIN)


def test_changes_come_as_differences_unless_the_state_of_the_world_is_wanted():
    types = [bootstrap(o)["dynamic_resources"]["ads_config"]["api_type"] for o in (PLAIN, FULL)]
    assert ["DELTA_GRPC", "GRPC"] == types


def test_the_node_is_sent_once_on_each_stream():
    # A stock Envoy's node has 60 KB, in every request.
    assert bootstrap(PLAIN)["dynamic_resources"]["ads_config"]["set_node_on_first_message_only"]


def test_a_server_that_is_named_is_looked_up():
    clusters = [bootstrap(o)["static_resources"]["clusters"][0] for o in (PLAIN, FULL)]
    assert ["STATIC", "STRICT_DNS"] == [cluster["type"] for cluster in clusters]
    assert {XDS_CLUSTER} == {cluster["name"] for cluster in clusters}


@pytest.mark.parametrize(
    ("stat", "is_kept"),
    [
        ("cluster_manager.cds.update_rejected", True),
        ("control_plane.connected_state", True),
        ("listener_manager.lds.update_rejected", True),
        ("http.outbound_http.rds.outbound-http.update_rejected", True),
        ("cluster.xds-grpc.upstream_cx_active", True),
        ("cluster.outbound|80||a.shop.mesh.upstream_rq_total", True),
        ("cluster.outbound|80||a.shop.mesh.upstream_rq_xx", True),
        ("cluster.outbound|80||a.shop.mesh.membership_healthy", True),
        ("cluster.outbound|80||a.shop.mesh.update_rejected", True),
        ("cluster.outbound|80||a.shop.mesh.circuit_breakers.default.cx_open", False),
        ("cluster.outbound|80||a.shop.mesh.upstream_flow_control_drained_total", False),
        ("cluster.outbound|80||a.shop.mesh.lb_subsets_active", False),
    ],
)
def test_the_statistics_that_people_need_are_kept(stat: str, is_kept: bool):
    patterns = bootstrap(PLAIN)["stats_config"]["stats_matcher"]["inclusion_list"]["patterns"]
    assert is_kept == any(
        stat.startswith(p["prefix"])
        if "prefix" in p
        else bool(re.fullmatch(p["safe_regex"]["regex"], stat))
        for p in patterns
    )
