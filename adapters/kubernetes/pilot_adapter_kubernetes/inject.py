"""`pilot-core inject kubernetes FILE`: manifests, with a proxy beside every workload's containers.

Rule 1: what gets no proxy passes as it was written, byte for byte.
Rule 2: injected twice is injected once.
Rule 3: only the init container that sets the rules has a capability.

The proxy is a sidecar of Kubernetes' own (an init container that is restarted, since 1.29): it is
there before the workload begins, and a Job ends when its own containers do.
kubernetes.io/docs/concepts/workloads/pods/sidecar-containers
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from pilot_adapter_kubernetes import manifests
from pilot_core.adapter import ConfigError, Finding, Sidecar

PROXY, RULES = "pilot-proxy", "pilot-iptables"
CHOICE = "pilot-core.io/inject"
"""A label or annotation of a pod; with "false" it gets no proxy."""
_AGENT = "pilot-agent"
_USER = 1337
_READY = "import urllib.request as r; r.urlopen('http://127.0.0.1:15000/ready', timeout=2)"
_FROM_POD = {
    "POD_NAMESPACE": "metadata.namespace",
    "POD_IP": "status.podIP",
    "SERVICE_ACCOUNT": "spec.serviceAccountName",
}
_TEMPLATE = ("spec", "template")
_TEMPLATES = {
    ("v1", "Pod"): (),
    ("v1", "ReplicationController"): _TEMPLATE,
    ("apps/v1", "Deployment"): _TEMPLATE,
    ("apps/v1", "ReplicaSet"): _TEMPLATE,
    ("apps/v1", "StatefulSet"): _TEMPLATE,
    ("apps/v1", "DaemonSet"): _TEMPLATE,
    ("batch/v1", "Job"): _TEMPLATE,
    ("batch/v1", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}
"""Where a pod is described in each kind of object."""
_BETWEEN = re.compile(r"^(---[ \t]*(?:#.*)?\r?\n)", re.MULTILINE)
Object = dict[str, Any]


def kubernetes(document: bytes, sidecar: Sidecar) -> bytes:
    """The same manifests, in the same format, YAML or JSON. Raises ConfigError."""
    try:
        text = document.decode()
    except UnicodeDecodeError as error:
        raise _wrong("", f"not UTF-8: {error}") from None
    if text.lstrip().startswith("{"):
        return _as_json(text, sidecar).encode()
    # No line of a document begins with three hyphens, not even one of a block of text.
    parts = _BETWEEN.split(text)
    parts[::2] = [_as_yaml(part, sidecar) for part in parts[::2]]
    return "".join(parts).encode()


def _as_json(text: str, sidecar: Sidecar) -> str:
    try:
        said = json.loads(text)
    except ValueError as error:
        raise _wrong("", f"not JSON: {error}") from None
    made = injected(said, sidecar)
    return text if made == said else json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def _as_yaml(text: str, sidecar: Sidecar) -> str:
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _wrong("", f"not YAML: {error}") from None
    made = injected(said, sidecar)
    return text if made == said else manifests.written(made)


def injected(said: Any, sidecar: Sidecar) -> Any:
    """An object with a proxy, or as it is if it is none that runs pods. Raises ConfigError."""
    if not isinstance(said, dict):
        return said
    if isinstance(said.get("items"), list) and str(said.get("kind", "")).endswith("List"):
        return {**said, "items": [injected(item, sidecar) for item in said["items"]]}
    path = _TEMPLATES.get((str(said.get("apiVersion")), str(said.get("kind"))))
    if path is None:
        return said
    name = named(_mapping(said, "metadata", ""))
    where = f"{said['kind']} {name}"
    if not name:
        raise _wrong(where.strip(), "metadata.name: expected a name")
    return _at(said, path, where, lambda found: pod(found, name, where, sidecar))


def named(meta: Object) -> str:
    """What an object is called, or is about to be."""
    return str(meta.get("name") or str(meta.get("generateName", "")).rstrip("-"))


def _at(said: Object, path: tuple[str, ...], where: str, change: Any) -> Object:
    if not path:
        made: Object = change(said)
        return made
    inner = _mapping(said, path[0], where)
    return {**said, path[0]: _at(inner, path[1:], where, change)}


def pod(said: Object, workload: str, where: str, sidecar: Sidecar) -> Object:
    """A pod, or a template of pods, with the proxy of this workload. Raises ConfigError."""
    meta, spec = _mapping(said, "metadata", where), _mapping(said, "spec", where)
    containers = _sequence(spec, "containers", where)
    first = _sequence(spec, "initContainers", where)
    everybody = [*containers, *first]
    if _is_left_out(meta, where) or any(each.get("name") == PROXY for each in everybody):
        return said
    # The rules of a pod in the network of its node would be those of the node.
    if spec.get("hostNetwork") is True:
        return said
    if not sidecar.image:
        raise _wrong(where, "name the image of the proxy's container with --image")
    for each in [spec, *everybody]:
        context = _mapping(each, "securityContext", where)
        for kind, key in (("user", "runAsUser"), ("group", "runAsGroup")):
            if context.get(key) == _USER:
                raise _wrong(
                    where,
                    f"runs as {kind} {_USER}, whose traffic is the proxy's and is not redirected: "
                    f"give it another {kind}",
                )
    labels = _mapping(meta, "labels", where)
    proxy = _proxy(workload, labels, sidecar)
    # What is initialised before the rules are there talks to others without the mesh.
    made = {**spec, "initContainers": [*first, _rules(sidecar), proxy]}
    if sidecar.agent_socket:
        folder = sidecar.agent_socket.rpartition("/")[0]
        volume = {"name": _AGENT, "hostPath": {"path": folder, "type": "Directory"}}
        made["volumes"] = [*_sequence(spec, "volumes", where), volume]
    return {**said, "spec": made}


def _is_left_out(meta: Object, where: str) -> bool:
    """The label counts before the annotation."""
    chosen = [_mapping(meta, key, where).get(CHOICE) for key in ("labels", "annotations")]
    said = next((choice for choice in chosen if choice is not None), "true")
    if said not in ("true", "false"):
        raise _wrong(where, f'{CHOICE}: expected "true" or "false", not {said!r}')
    return bool(said == "false")


def _rules(sidecar: Sidecar) -> Object:
    return {
        "name": RULES,
        "image": sidecar.image,
        "command": ["pilot-core", "iptables", "--apply"],
        "securityContext": {
            "runAsUser": 0,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
        },
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }


def _proxy(workload: str, labels: Object, sidecar: Sidecar) -> Object:
    options = {
        "--mode": "redirect",
        "--workload": workload,
        "--namespace": sidecar.namespace or "$(POD_NAMESPACE)",
        "--address": "$(POD_IP)",
        "--service-account": "$(SERVICE_ACCOUNT)",
        "--xds": sidecar.xds,
    }
    if sidecar.agent_socket:
        options["--agent-socket"] = sidecar.agent_socket
    command = ["pilot-core", "proxy", *(word for option in options.items() for word in option)]
    for key, value in labels.items():
        command += ["--label", f"{key}={value}"]
    probe = {"exec": {"command": ["python3", "-c", _READY]}, "timeoutSeconds": 5}
    made: Object = {
        "name": PROXY,
        "image": sidecar.image,
        "restartPolicy": "Always",
        "command": command,
        "env": [
            {"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for key, path in _FROM_POD.items()
        ],
        "securityContext": {
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "startupProbe": {**probe, "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {**probe, "periodSeconds": 15},
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}},
    }
    if sidecar.agent_socket:
        folder = sidecar.agent_socket.rpartition("/")[0]
        made["volumeMounts"] = [{"name": _AGENT, "mountPath": folder, "readOnly": True}]
    return made


def _mapping(said: Object, key: str, where: str) -> Object:
    value = said.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(where, f"{key}: expected a mapping")
    return value


def _sequence(said: Object, key: str, where: str) -> list[Object]:
    value = said.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise _wrong(where, f"{key}: expected a list of mappings")
    return value


def _wrong(where: str, words: str) -> ConfigError:
    return ConfigError(Finding(where, 0, 0, words))
