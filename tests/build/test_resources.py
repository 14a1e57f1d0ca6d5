"""Resources: finished bytes that depend on the view alone, and are as few as they can be."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pilot_core.model import NO_LOCALITY, Health, Locality, Port, Protocol
from pilot_core.plan import layers, routes
from pilot_core.plan.views import (
    ApiListenerView,
    ClusterView,
    Direction,
    Discovery,
    EndpointsView,
    EndpointView,
    ForwardListenerView,
    HttpListenerView,
    LocalityView,
    RoutesView,
    View,
)
from pilot_xds import build
from pilot_xds.build.routes import to_cluster, virtual_host
from pilot_xds.protos import (
    AnyMessage,
    Cluster,
    ClusterLoadAssignment,
    HttpConnectionManager,
    Listener,
    RouteConfiguration,
)
from pilot_xds.types import ResourceType
from worlds import endpoint, service, world

ROOT = Path(__file__).parents[2]
CLUSTER = ClusterView("outbound|80||a.shop.mesh", Discovery.EDS)
VIEWS: dict[ResourceType, tuple[View, ...]] = {
    ResourceType.CLUSTER: (CLUSTER,),
    ResourceType.ENDPOINTS: (EndpointsView("outbound|80||a.shop.mesh", ()),),
    ResourceType.ROUTES: (RoutesView("outbound-http", ()),),
    ResourceType.LISTENER: (
        HttpListenerView("outbound-http", "127.0.0.1", 1, "outbound-http", Direction.OUTBOUND),
        ForwardListenerView("in", "10.0.0.1", 80, "inbound|80||", True, Direction.INBOUND),
        ApiListenerView("a.shop.mesh", "outbound|80||a.shop.mesh"),
    ),
}


def message(view: View, of: type):
    packed = AnyMessage.FromString(build.resource(view).any)
    made = of()
    assert packed.Unpack(made)
    return made


def assignment(*endpoints: EndpointView, place: Locality = NO_LOCALITY):
    localities = (LocalityView(place, 0, endpoints),) if endpoints else ()
    return message(EndpointsView("c", localities), ClusterLoadAssignment)


def at(address: str, weight: int = 1, health: Health = Health.HEALTHY) -> EndpointView:
    return EndpointView((address,), 80, health, weight)


@pytest.mark.parametrize("kind", VIEWS)
def test_a_resource_is_named_as_its_view_and_packed_under_its_type(kind: ResourceType):
    for view in VIEWS[kind]:
        made = build.resource(view)
        assert view.name == made.name
        assert kind.url == AnyMessage.FromString(made.any).type_url


def test_an_equal_view_is_the_same_resource():
    again = ClusterView("outbound|80||a.shop.mesh", Discovery.EDS)
    held = build.resource(CLUSTER)
    assert held is build.resource(again)


def test_a_resource_that_nobody_holds_is_forgotten():
    view = ClusterView("outbound|80||soon-gone.shop.mesh", Discovery.EDS)
    held = build.resource(view)
    assert view in build._made
    del held
    gc.collect()
    assert view not in build._made


def test_virtual_hosts_encoded_one_by_one_make_the_message_that_would_be_made_at_once():
    here = world(service("a.shop.mesh"), service("b.bank.mesh", namespace="bank"))
    view = routes.for_namespace(here, "shop")
    whole = to_cluster("outbound-http", "nobody")
    del whole.virtual_hosts[:]
    whole.virtual_hosts.extend(virtual_host(host) for host in view.hosts)
    assert whole == message(view, RouteConfiguration)


def test_a_route_costs_forty_bytes_besides_its_names():
    services = [service(f"service-{n}.namespace-{n % 20}.mesh") for n in range(1000)]
    view = routes.for_namespace(world(*services), "elsewhere")
    hosts = view.hosts
    assert 1000 == len(hosts)
    names = sum(len("".join((h.name, *h.domains, h.cluster))) for h in hosts)
    assert len(build.resource(view).any) < names + 40 * len(hosts)


def test_a_cluster_is_at_most_200_bytes():
    assert len(build.resource(CLUSTER).any) < 200


@pytest.mark.parametrize(
    ("health", "status"),
    [
        (Health.HEALTHY, "UNKNOWN"),
        (Health.UNHEALTHY, "UNHEALTHY"),
        (Health.DRAINING, "DRAINING"),
        (Health.DEGRADED, "DEGRADED"),
    ],
)
def test_health_is_said_in_envoy_s_words(health: Health, status: str):
    # What is healthy is not said at all: unknown counts as healthy.
    found = assignment(at("10.0.0.1", health=health)).endpoints[0].lb_endpoints[0]
    field = found.DESCRIPTOR.fields_by_name["health_status"]
    assert status == field.enum_type.values_by_number[found.health_status].name


def test_a_service_without_endpoints_has_an_empty_load_assignment():
    assert 0 == len(assignment().endpoints)
    assert "c" == assignment().cluster_name


def test_a_locality_weighs_what_its_endpoints_weigh():
    found = assignment(at("10.0.0.1", 3), at("10.0.0.2")).endpoints[0]
    assert 4 == found.load_balancing_weight.value
    assert [3, 1] == [e.load_balancing_weight.value or 1 for e in found.lb_endpoints]


def test_weights_that_do_not_fit_together_are_scaled_down_and_none_vanishes():
    found = assignment(at("10.0.0.1", 2**32 - 1), at("10.0.0.2", 2**32 - 1), at("10.0.0.3"))
    weights = [e.load_balancing_weight.value or 1 for e in found.endpoints[0].lb_endpoints]
    assert sum(weights) < 2**32
    assert weights[0] == weights[1] > 2**30
    assert 1 == weights[2]


def test_addresses_of_other_families_are_additional():
    both = EndpointView(("10.0.0.1", "fd00::1"), 80, Health.HEALTHY, 1)
    found = assignment(both).endpoints[0].lb_endpoints[0].endpoint
    assert "10.0.0.1" == found.address.socket_address.address
    other = found.additional_addresses[0].address.socket_address
    assert ("fd00::1", 80) == (other.address, other.port_value)


def test_a_unix_socket_is_a_pipe():
    socket = EndpointView(("unix:///run/a.sock",), 0, Health.HEALTHY, 1)
    assert (
        "/run/a.sock" == assignment(socket).endpoints[0].lb_endpoints[0].endpoint.address.pipe.path
    )


def test_what_the_registry_says_holds_at_once():
    made = message(CLUSTER, Cluster)
    assert made.common_lb_config.HasField("update_merge_window")
    assert 0 == made.common_lb_config.update_merge_window.seconds
    assert made.common_lb_config.HasField("healthy_panic_threshold")
    assert 0 == made.common_lb_config.healthy_panic_threshold.value
    assert made.ignore_health_on_host_removal


def test_http2_is_spoken_with_prior_knowledge_where_the_protocol_says_so():
    grpc = ClusterView("outbound|90||a", Discovery.EDS, http2=True)
    assert 1 == len(message(grpc, Cluster).typed_extension_protocol_options)
    assert 0 == len(message(CLUSTER, Cluster).typed_extension_protocol_options)


def manager(view: View):
    chain = message(view, Listener).filter_chains[0]
    made = HttpConnectionManager()
    assert chain.filters[0].typed_config.Unpack(made)
    return made


def test_strangers_are_held_to_limits_and_colleagues_are_not():
    def listener(direction: Direction) -> HttpListenerView:
        return HttpListenerView("outbound-http", "0.0.0.0", 8080, "outbound-http", direction)

    gateway = manager(listener(Direction.GATEWAY))
    assert gateway.use_remote_address.value
    assert 100 == gateway.http2_protocol_options.max_concurrent_streams.value
    assert 10 == gateway.request_headers_timeout.seconds
    sidecar = manager(listener(Direction.OUTBOUND))
    assert not sidecar.use_remote_address.value
    assert not sidecar.HasField("http2_protocol_options")


def test_websockets_pass_and_streams_may_be_idle():
    made = manager(VIEWS[ResourceType.LISTENER][0])
    assert ["websocket"] == [upgrade.upgrade_type for upgrade in made.upgrade_configs]
    assert made.HasField("stream_idle_timeout")
    assert 0 == made.stream_idle_timeout.seconds


_PRINT_ALL = """
from pathlib import Path
import test_golden as golden
from pilot_xds.rendering import translate
from pilot_xds import build
from pilot_core.plan.proxies import plan
for case in golden.CASES:
    world = golden.read_world(golden.GOLDEN / case)
    for key in plan(golden.read_proxy(golden.GOLDEN / case)).keys:
        for view in sorted(key.views(world), key=lambda view: view.name):
            print(view.name, build.resource(view).version)
"""


def test_two_processes_make_the_same_bytes_whatever_their_hash_seed():
    path = [ROOT, ROOT / "xds", ROOT / "tests" / "support", ROOT / "tests" / "build"]
    versions = [
        subprocess.run(
            [sys.executable, "-c", _PRINT_ALL],
            capture_output=True,
            text=True,
            check=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(str, path)),
                "PYTHONHASHSEED": seed,
            },
        ).stdout
        for seed in ("1", "2")
    ]
    assert versions[0] == versions[1]
    assert versions[0]


def test_the_clusters_of_one_service_are_those_of_its_ports():
    ports = (Port("http", 80, Protocol.HTTP), Port("db", 5432))
    here = world(service("a.shop.mesh", ports=ports), a=[endpoint("10.0.0.1")])
    made = [build.resource(view).name for view in layers.PublicClusters().views(here)]
    assert ["outbound|80||a.shop.mesh", "outbound|5432||a.shop.mesh"] == made
