"""`pilot-core inject marathon`: what becomes of apps and pods, and that it runs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pilot_adapter_mesos import inject

from components import envoy_binary
from mesh import http_get, mesh, spawn, until
from mesos_agent import MesosAgent
from mesos_framework import MesosFramework, task
from mesos_server import MesosMaster
from pilot_core.adapter import ConfigError, Sidecar
from server_process import free_ports

SIDECAR = Sidecar(xds="10.0.0.5:15010", image="mesh/proxy:1")
DEPLOY = Path(__file__).parents[3] / "deploy/mesos"


def injected(said: Any, sidecar: Sidecar = SIDECAR) -> Any:
    return json.loads(inject.marathon(json.dumps(said).encode(), sidecar))


def test_a_pod_gets_a_container_for_its_proxy_once():
    said = {"id": "/prod/web", "containers": [{"name": "web"}], "networks": [{"mode": "host"}]}
    made = injected(said)
    web, proxy = made["containers"]
    assert {"name": "web"} == web
    assert {"kind": "DOCKER", "id": "mesh/proxy:1"} == proxy["image"]
    command = proxy["exec"]["command"]["shell"]
    assert command.startswith("exec pilot-core proxy --workload web-prod --namespace marathon")
    assert "--xds 10.0.0.5:15010" in command
    assert made == injected(made)
    assert said["networks"] == made["networks"]


def test_an_apps_command_is_wrapped_once_and_everything_else_stays():
    said = {"id": "/web", "cmd": "python3 -m http.server $PORT0", "cpus": 1, "labels": {"a": "b"}}
    made = injected(said)
    assert said["cmd"] in made["cmd"]
    assert {**said, "cmd": made["cmd"]} == made
    assert made == injected(made)
    arguments = injected({"id": "/web", "args": ["run", "it's"]})
    assert """run 'it'"'"'s'""" in arguments["cmd"]
    assert "args" not in arguments


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("[]", "id: expected one app or pod"),
        ("{", "not JSON"),
        ('{"id": "/web", "container": {"docker": {"image": "x"}}}', "cmd: an app without one"),
        ('{"id": "/web", "containers": []}', "containers: name the image"),
    ],
)
def test_what_cannot_be_injected_is_said(said, words):
    with pytest.raises(ConfigError, match=words):
        inject.marathon(said.encode(), Sidecar(xds="h:1"))


async def test_the_verb_prints_it_and_names_the_file(tmp_path):
    file = tmp_path / "app.json"
    file.write_text(json.dumps({"id": "/web", "cmd": "true"}))
    code, out, _ = await run("inject", "marathon", str(file), "--xds", "10.0.0.5:15010")
    assert (0, injected({"id": "/web", "cmd": "true"})) == (code, json.loads(out))
    file.write_text('{"id": "/web"}')
    code, _, err = await run("inject", "marathon", str(file))
    assert 2 == code
    assert f"{file}: cmd: an app without one" in err
    code, _, err = await run("inject", "maraton", str(file))
    assert 2 == code
    assert 'did you mean "marathon"?' in err


async def run(*arguments: str) -> tuple[int | None, str, str]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pilot_core", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate()
    return child.returncode, out.decode(), err.decode()


@pytest.mark.envoy
async def test_a_task_with_an_injected_command_is_reached_through_its_proxy_and_ends_with_it():
    [port] = free_ports(1)
    ip = "127.0.0.41"
    app = {"id": "/web", "cmd": f"exec {sys.executable} -m http.server {port} --bind 127.0.0.1"}
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
        mesh() as stage,
    ):
        await shop.launch(task("web.1", "web", port), agent)
        await agent.run("web.1", ip)
        adapter = f'- {{name: dc1, kind: mesos, config: {{masters: ["{master.url}"]}}}}\n'
        daemon = await stage.daemon(adapter)
        command = injected(app, Sidecar(xds=daemon.xds, namespace="shop"))["cmd"]
        path = f"{Path(sys.executable).parent}:{envoy_binary().parent}:{os.environ['PATH']}"
        log = stage.folder / "task.log"
        child = await spawn(log, "/bin/sh", "-c", command, MESOS_CONTAINER_IP=ip, PATH=path)
        stage.at_end(child.stop)

        async def answers() -> bool:
            return (await http_get(f"{ip}:{port}"))[0] == 200

        await until(answers, f"the task behind its proxy: {log}")
        # The application listens on 127.0.0.1 alone: it is the proxy that answers there.
        [proxy] = await daemon.items("/api/v1/proxies")
        assert ("web", "shop") == (proxy["workload"], proxy["namespace"])
        await child.stop()

        async def is_gone() -> bool:
            return not await daemon.items("/api/v1/proxies")

        await until(is_gone, "the end of the proxy")


# pilot-core as an app of Marathon


async def test_the_app_of_pilot_core_runs_what_its_configuration_says(tmp_path):
    app = json.loads((DEPLOY / "pilot-core.json").read_text())
    token, file = tmp_path / "admin.token", tmp_path / "pilot.yaml"
    token.write_text("secret")
    said = (DEPLOY / "pilot.yaml").read_text().replace("admin.token", str(token))
    file.write_text(said)
    assert (0, "") == (await run("check", "-c", str(file)))[:2]
    settings = yaml.safe_load(said)
    ports = {each["name"]: each["port"] for each in app["portDefinitions"]}
    assert settings["xds"]["address"].endswith(f":{ports['grpc-xds']}")
    assert settings["admin"]["address"].endswith(f":{ports['http-admin']}")
    fetched = {each["uri"].rpartition("/")[2] for each in app["fetch"]}
    assert {"pilot.yaml", "admin.token"} == fetched


async def test_a_first_configuration_for_mesos_is_sound(tmp_path):
    code, out, _ = await run("init", "--adapter", "mesos")
    file = tmp_path / "pilot.yaml"
    file.write_text(out)
    assert (0, 0) == (code, (await run("check", "-c", str(file)))[0])
