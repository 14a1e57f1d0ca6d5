"""Resources as people read them."""

from __future__ import annotations

from pilot_core.model import Proxy
from pilot_core.plan.views import ClusterView, Discovery
from pilot_xds import build
from pilot_xds.rendering import as_dict, translate
from worlds import endpoint, service, world

HERE = world(
    service("b.shop.mesh"),
    service("a.shop.mesh"),
    a=[endpoint("10.0.0.7")],
    b=[endpoint("10.0.0.8")],
)


def test_field_names_are_those_of_envoy_s_documentation():
    shown = as_dict(build.resource(ClusterView("c", Discovery.EDS)))
    assert "c" == shown["name"]
    assert {"ads": {}, "resource_api_version": "V3"} == shown["eds_cluster_config"]["eds_config"]
    assert "@type" not in shown


def test_what_is_packed_inside_is_shown_unpacked():
    shown = as_dict(build.resource(ClusterView("c", Discovery.EDS, http2=True)))
    options = shown["typed_extension_protocol_options"]
    inner = options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
    assert {"http2_protocol_options": {}} == inner["explicit_http_config"]


def test_what_a_proxy_would_be_given_is_sorted_by_name():
    made = translate(HERE, Proxy(id="p", namespace="shop"))
    assert [
        "BlackHoleCluster",
        "PassthroughCluster",
        "outbound|80||a.shop.mesh",
        "outbound|80||b.shop.mesh",
    ] == [cluster["name"] for cluster in made["clusters"]]
    assert ["outbound|80||a.shop.mesh", "outbound|80||b.shop.mesh"] == [
        assignment["cluster_name"] for assignment in made["endpoints"]
    ]
    assert ["outbound-http"] == [listener["name"] for listener in made["listeners"]]
    assert ["outbound-http"] == [routes["name"] for routes in made["routes"]]
