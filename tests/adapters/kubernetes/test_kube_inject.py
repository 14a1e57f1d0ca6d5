"""`pilot-core inject kubernetes`: what becomes of manifests, and a real server takes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from kube_platforms import run_server, stop_server
from pilot_adapter_kubernetes import inject

from kube_server import KubeApi
from pilot_core.adapter import ConfigError, Sidecar
from program import pilot, process

SIDECAR = Sidecar(xds="pilot-core.pilot-core.svc:15010", image="mesh/proxy:1")
POD = {"containers": [{"name": "web", "image": "web:1"}]}
LABELS = {"app": "web"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": POD}
ONCE = {"metadata": {"labels": LABELS}, "spec": {**POD, "restartPolicy": "Never"}}
SELECTED = {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {}}
KINDS = {
    "Deployment": ("apps/v1", {"replicas": 2, **SELECTED}),
    "ReplicaSet": ("apps/v1", SELECTED),
    "StatefulSet": ("apps/v1", {"serviceName": "web", **SELECTED}),
    "DaemonSet": ("apps/v1", SELECTED),
    "ReplicationController": ("v1", {"selector": LABELS, "template": TEMPLATE}),
    "Job": ("batch/v1", {"template": ONCE}),
    "CronJob": (
        "batch/v1",
        {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": ONCE}}},
    ),
    "Pod": ("v1", POD),
}
Json = dict[str, Any]


def manifest(kind: str = "Deployment", name: str = "web") -> Json:
    version, spec = KINDS[kind]
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def with_pod(spec: Json | None = None, **meta: Json) -> Json:
    """A pod of its own."""
    made = {"name": "web", **meta}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": {**POD, **(spec or {})}}


def pod_of(made: Json) -> Json:
    while "containers" not in made["spec"]:
        made = made["spec"].get("jobTemplate") or made["spec"]["template"]
    found: Json = made["spec"]
    return found


def added(made: Json) -> tuple[Json, Json]:
    """The container that sets the rules, and that of the proxy."""
    rules, proxy = pod_of(made)["initContainers"][-2:]
    return rules, proxy


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_runs_pods_gets_a_proxy_once(kind: str) -> None:
    said = manifest(kind)
    made = inject.injected(said, SIDECAR)

    assert ["pilot-iptables", "pilot-proxy"] == [c["name"] for c in added(made)]
    assert POD["containers"] == pod_of(made)["containers"]
    assert made == inject.injected(made, SIDECAR)
    assert "initContainers" not in pod_of(said)


def test_only_the_container_that_sets_the_rules_has_a_capability() -> None:
    rules, proxy = added(inject.injected(manifest(), SIDECAR))

    assert ["NET_ADMIN", "NET_RAW"] == rules["securityContext"]["capabilities"]["add"]
    assert {"drop": ["ALL"]} == proxy["securityContext"]["capabilities"]
    assert (1337, True) == (
        proxy["securityContext"]["runAsUser"],
        proxy["securityContext"]["runAsNonRoot"],
    )
    assert ["pilot-core", "iptables", "--apply"] == rules["command"]


def test_the_proxy_is_there_before_the_workload_and_a_job_ends_without_it() -> None:
    _, proxy = added(inject.injected(manifest("Job"), SIDECAR))

    assert "Always" == proxy["restartPolicy"]
    assert proxy["startupProbe"]["exec"] == proxy["readinessProbe"]["exec"]


def test_what_is_initialised_is_so_before_the_rules() -> None:
    said = with_pod({"initContainers": [{"name": "migrate", "image": "m"}]})

    assert ["migrate", "pilot-iptables", "pilot-proxy"] == [
        c["name"] for c in inject.injected(said, SIDECAR)["spec"]["initContainers"]
    ]


def test_the_command_of_the_proxy_is_one_that_pilot_core_takes() -> None:
    said = with_pod(labels={"app": "web", "empty": ""})
    _, proxy = added(inject.injected(said, SIDECAR))
    fields = {e["name"]: e["valueFrom"]["fieldRef"]["fieldPath"] for e in proxy["env"]}
    values = {"POD_IP": "10.1.2.3", "POD_NAMESPACE": "shop", "SERVICE_ACCOUNT": "clerk"}
    words = proxy["command"]
    for key, value in values.items():
        words = [word.replace(f"$({key})", value) for word in words]
    ran = pilot("bootstrap", *words[2:], "-o", "json")

    assert (["pilot-core", "proxy"], 0, "") == (words[:2], ran.code, ran.err)
    assert list(values) == sorted(fields, key=list(values).index)
    node = json.loads(ran.out)["node"]
    assert "sidecar~10.1.2.3~web.shop~shop.svc.cluster.local" == node["id"]
    assert "REDIRECT" == node["metadata"]["INTERCEPTION_MODE"]
    assert {"app": "web", "empty": ""} == node["metadata"]["LABELS"]
    assert "clerk" == node["metadata"]["SERVICE_ACCOUNT"]


def test_the_socket_of_the_nodes_agent_is_mounted() -> None:
    sidecar = Sidecar(xds="a:1", image="i", agent_socket="/run/pilot-core/agent.sock")
    made = inject.injected(manifest(), sidecar)
    _, proxy = added(made)

    assert "--agent-socket /run/pilot-core/agent.sock" in " ".join(proxy["command"])
    assert ["/run/pilot-core"] == [v["hostPath"]["path"] for v in pod_of(made)["volumes"]]
    assert ["/run/pilot-core"] == [m["mountPath"] for m in proxy["volumeMounts"]]


@pytest.mark.parametrize(
    "said",
    [
        SERVICE,
        {"apiVersion": "example.com/v1", "kind": "Job", "spec": {"template": 1}},
        with_pod({"hostNetwork": True}),
        with_pod(labels={inject.CHOICE: "false"}),
        with_pod(annotations={inject.CHOICE: "false"}),
        with_pod(labels={inject.CHOICE: "false"}, annotations={inject.CHOICE: "true"}),
        None,
        "text",
    ],
)
def test_what_is_to_have_no_proxy_stays_as_it_is(said: Any) -> None:
    assert said == inject.injected(said, SIDECAR)


def test_the_label_counts_before_the_annotation() -> None:
    said = with_pod(labels={inject.CHOICE: "true"}, annotations={inject.CHOICE: "false"})

    assert said != inject.injected(said, SIDECAR)


def test_of_a_list_every_item_is_looked_at() -> None:
    said = {"apiVersion": "v1", "kind": "List", "items": [SERVICE, manifest()]}
    made = inject.injected(said, SIDECAR)

    assert SERVICE == made["items"][0]
    assert 2 == len(added(made["items"][1]))


def test_of_several_documents_only_what_is_changed_is_written_anew() -> None:
    untouched = "# The shop's.\napiVersion: v1\nkind:   ConfigMap\ndata: {mode: 0644, on: yes}\n"
    text = f"{untouched}---\n{json.dumps(SERVICE)}\n--- # next\n{yaml.safe_dump(manifest())}---\n"
    made = inject.kubernetes(text.encode(), SIDECAR).decode()

    assert made.startswith(f"{untouched}---\n{json.dumps(SERVICE)}\n--- # next\n")
    documents = list(yaml.safe_load_all(made))
    assert inject.injected(manifest(), SIDECAR) == documents[2]
    assert made == inject.kubernetes(made.encode(), SIDECAR).decode()


@pytest.mark.parametrize("word", ["12e3", "1e5", "0x1f", "y", "no", "0755", "1_000", ".5", "+1"])
def test_a_string_stays_one_for_every_reader(word: str) -> None:
    said = with_pod({"nodeName": word})
    made = inject.kubernetes(yaml.safe_dump(said).encode(), SIDECAR).decode()

    assert f"nodeName: '{word}'\n" in made


def test_json_stays_json() -> None:
    made = json.loads(inject.kubernetes(json.dumps(manifest()).encode(), SIDECAR))

    assert inject.injected(manifest(), SIDECAR) == made


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"a: [", "not YAML"),
        (b'{"a":', "not JSON"),
        (b"\xff", "not UTF-8"),
        (json.dumps(with_pod({"containers": 1})).encode(), "Pod web: containers: expected a list"),
        (
            json.dumps(with_pod({"securityContext": {"runAsUser": 1337}})).encode(),
            "Pod web: runs as user 1337, whose traffic is the proxy's",
        ),
        (
            json.dumps(
                with_pod(
                    {"initContainers": [{"name": "a", "securityContext": {"runAsGroup": 1337}}]}
                )
            ).encode(),
            "Pod web: runs as group 1337, whose traffic is the proxy's",
        ),
        (
            json.dumps(with_pod(labels={inject.CHOICE: "maybe"})).encode(),
            'Pod web: pilot-core.io/inject: expected "true" or "false", not \'maybe\'',
        ),
        (b'{"apiVersion": "v1", "kind": "Pod"}', "Pod: metadata.name: expected a name"),
    ],
)
def test_what_is_wrong_is_said(document: bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=f"^{words}"):
        inject.kubernetes(document, SIDECAR)


def test_without_an_image_it_says_how_to_name_one() -> None:
    with pytest.raises(ConfigError, match=r"Deployment web: name the image .* with --image"):
        inject.injected(manifest(), Sidecar(xds="a:1"))


def test_the_verb_prints_manifests_with_a_proxy(tmp_path: Any) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(yaml.safe_dump(manifest()))
    options = ("--image", "mesh/proxy:1", "--xds", SIDECAR.xds)
    ran = process("inject", "kubernetes", str(file), *options)

    assert (0, "") == (ran.code, ran.err)
    assert inject.injected(manifest(), SIDECAR) == yaml.safe_load(ran.out)


@pytest.fixture(scope="module")
def server() -> Iterator[KubeApi]:
    made = run_server()
    yield made
    stop_server(made)


@pytest.mark.parametrize("agent_socket", ["", "/run/pilot-core/agent.sock"])
async def test_a_real_server_takes_every_kind_and_knows_every_field(
    server: KubeApi, agent_socket: str
) -> None:
    sidecar = Sidecar(xds=SIDECAR.xds, image=SIDECAR.image, agent_socket=agent_socket)
    taken = []
    for kind, (version, _) in KINDS.items():
        made = inject.injected(manifest(kind), sidecar)
        root = "/api/v1" if version == "v1" else f"/apis/{version}"
        path = f"{root}/namespaces/default/{kind.lower()}s?dryRun=All&fieldValidation=Strict"
        answer = await server.call("POST", path, made)
        taken.append((answer["kind"], [c["name"] for c in pod_of(answer)["initContainers"]]))

    assert [(kind, ["pilot-iptables", "pilot-proxy"]) for kind in KINDS] == taken
