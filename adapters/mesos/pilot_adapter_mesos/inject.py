"""`pilot-core inject marathon app.json`: an app or a pod, with a proxy beside what it runs.

A pod gets a container of its own for the proxy, which shares the pod's addresses. An app has one
container: its command is wrapped, so `pilot-core` has to be in its image or on its agents. What is
injected already is left as it is.

What runs beside a proxy listens on 127.0.0.1: the proxy has the port at the task's own address.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from pilot_adapter_mesos import naming
from pilot_core.adapter import ConfigError, Finding, Sidecar

CONTAINER = "pilot-proxy"
_FRAMEWORK = "marathon"
_ADDRESS = '"${MESOS_CONTAINER_IP:-$LIBPROCESS_IP}"'
_RESOURCES = {"cpus": 0.1, "mem": 128}
_MARK = "# pilot-proxy"
_WRAPPED = """{mark}
( trap - TERM; exec {proxy} ) & proxy=$!
( {app}
) & app=$!
trap 'kill -TERM $app 2>/dev/null' TERM
( while kill -0 $proxy 2>/dev/null; do sleep 1; done; kill -TERM $$ ) 2>/dev/null & watch=$!
wait $app; code=$?
[ $code -le 128 ] || {{ wait $app; code=$?; }}
kill -KILL $watch 2>/dev/null; kill -TERM $proxy 2>/dev/null
exit $code"""
"""The task ends when either does: without its proxy nobody would reach it."""
Document = dict[str, Any]


def marathon(document: bytes, sidecar: Sidecar) -> bytes:
    """The same app or pod, with a proxy. Raises ConfigError."""
    try:
        said = json.loads(document)
    except ValueError as error:
        raise _wrong("", f"not JSON: {error}") from None
    if not isinstance(said, dict) or not isinstance(said.get("id"), str):
        raise _wrong("id", "expected one app or pod of Marathon, with its id")
    made = _pod(said, sidecar) if "containers" in said else _app(said, sidecar)
    return json.dumps(made, indent=2).encode() + b"\n"


def _pod(said: Document, sidecar: Sidecar) -> Document:
    if any(each.get("name") == CONTAINER for each in said["containers"]):
        return said
    if not sidecar.image:
        raise _wrong("containers", "name the image of the proxy's container with --image")
    container = {
        "name": CONTAINER,
        "image": {"kind": "DOCKER", "id": sidecar.image},
        "exec": {"command": {"shell": f"exec {_proxy(said['id'], sidecar)}"}},
        "resources": _RESOURCES,
    }
    return {**said, "containers": [*said["containers"], container]}


def _app(said: Document, sidecar: Sidecar) -> Document:
    command = said.get("cmd") or shlex.join(said.get("args") or ())
    if not command:
        raise _wrong(
            "cmd",
            "an app without one runs what its image says, around which nothing can be put: "
            "write the command down, or make it a pod",
        )
    if command.startswith(_MARK):
        return said
    proxy = _proxy(said["id"], sidecar)
    wrapped = _WRAPPED.format(mark=_MARK, app=command, proxy=proxy)
    return {**{k: v for k, v in said.items() if k != "args"}, "cmd": wrapped}


def _proxy(id: str, sidecar: Sidecar) -> str:
    """`/prod/web` is `web.prod` in Mesos, and so the workload `web-prod`."""
    workload = naming.label(".".join(reversed(id.strip("/").split("/"))))
    options = {
        "--workload": shlex.quote(workload),
        "--namespace": shlex.quote(sidecar.namespace or _FRAMEWORK),
        "--address": _ADDRESS,
        "--xds": shlex.quote(sidecar.xds),
        "--admin": "127.0.0.1:0",
    }
    if sidecar.agent_socket:
        options["--agent-socket"] = shlex.quote(sidecar.agent_socket)
    return " ".join(["pilot-core proxy", *(f"{name} {value}" for name, value in options.items())])


def _wrong(where: str, words: str) -> ConfigError:
    return ConfigError(Finding(where, 0, 0, words))
