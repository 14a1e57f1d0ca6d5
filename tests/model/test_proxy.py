from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilot_core.model import Locality, Mode, Proxy, ProxyKind
from pilot_core.model.proxy import describe

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "NAMESPACE",
        "WORKLOAD_NAME",
        "LABELS",
        "INSTANCE_IPS",
        "INTERCEPTION_MODE",
        "PILOT_OUTBOUND",
        "PILOT_INBOUND",
        "PILOT_HTTP_LISTENER",
    ]
)


def test_an_id_in_istios_form_says_kind_address_workload_and_namespace():
    proxy = describe("sidecar~10.0.0.7~reviews-v1.shop~shop.svc.cluster.local", {})
    assert proxy.kind == ProxyKind.SIDECAR
    assert proxy.addresses == ("10.0.0.7",)
    assert (proxy.workload, proxy.namespace) == ("reviews-v1", "shop")


def test_a_workload_name_may_have_dots():
    proxy = describe("sidecar~10.0.0.7~reviews.v1.shop~x", {})
    assert (proxy.workload, proxy.namespace) == ("reviews.v1", "shop")


def test_a_router_stands_beside_no_workload():
    assert describe("router~10.0.0.1~edge.infra~x", {}).kind == ProxyKind.ROUTER


def test_any_other_id_is_a_sidecar_in_the_namespace_default_without_interception():
    assert Proxy(id="node-17") == describe("node-17", {})
    assert describe("node-17", {}).mode == Mode.NONE


def test_metadata_wins_over_the_id():
    proxy = describe(
        "sidecar~10.0.0.7~a.shop~x",
        {
            "NAMESPACE": "cellar",
            "WORKLOAD_NAME": "b",
            "INSTANCE_IPS": "10.0.0.8,fd00::8",
            "SERVICE_ACCOUNT": "sa",
            "LABELS": {"version": "v1", "app": "b"},
            "CLUSTER_ID": "east",
            "NETWORK_ID": "n1",
            "INTERCEPTION_MODE": "REDIRECT",
            "PILOT_OUTBOUND": {"127.0.0.1:9001": "billing.shop.mesh:80"},
            "PILOT_INBOUND": {"9080": "127.0.0.1:9000"},
            "PILOT_HTTP_LISTENER": "127.0.0.1:15001",
        },
        locality=Locality("r", "z"),
    )
    assert proxy == Proxy(
        id="sidecar~10.0.0.7~a.shop~x",
        addresses=("10.0.0.8", "fd00::8"),
        workload="b",
        namespace="cellar",
        service_account="sa",
        labels=(("app", "b"), ("version", "v1")),
        locality=Locality("r", "z"),
        cluster_id="east",
        network="n1",
        mode=Mode.REDIRECT,
        outbound=(("127.0.0.1:9001", "billing.shop.mesh:80"),),
        inbound=((9080, "127.0.0.1:9000"),),
        http_listener="127.0.0.1:15001",
    )


def test_a_grpc_library_is_known_by_its_user_agent():
    assert describe("x", {}, user_agent="gRPC C-core Linux").kind == ProxyKind.GRPC


@given(st.text(), st.dictionaries(KEYS, JSON))
def test_a_node_of_any_kind_is_described_and_never_an_error(node_id, metadata):
    proxy = describe(node_id, metadata)
    assert proxy.id == node_id[:512]
    assert proxy.namespace
