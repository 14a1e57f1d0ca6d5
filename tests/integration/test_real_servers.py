"""The real servers that other tests rely on: what they promise is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import mesos_build
import server_build
from consul_server import ConsulAgent, ConsulCluster
from kube_server import KubeApi
from server_process import Refused, binary, wait_for

VICTIM = """
import asyncio, sys
sys.path[:0] = sys.argv[1:]
from consul_server import ConsulAgent

async def main():
    async with ConsulAgent() as consul:
        print(consul.process.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


def _program(path: Path, says: str) -> None:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def test_a_server_on_path_counts_if_it_is_of_the_pinned_minor_version(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    minor = server_build.RECIPES["consul"].version.rpartition(".")[0]

    _program(tmp_path / "consul", "Consul v1.8.7")
    assert None is server_build.find("consul")
    _program(tmp_path / "consul", f"Consul v{minor}.99")
    assert tmp_path / "consul" == server_build.find("consul")


def test_without_go_the_build_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(server_build.BuildError, match="install Go"):
        server_build.build("etcd")


def test_without_gcc_mesos_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(server_build.BuildError, match=r"needs gcc, .*apt-get install gcc"):
        mesos_build.build()


async def test_an_agent_says_no_without_a_token_and_keeps_its_data_over_a_crash():
    async with ConsulAgent(acl=True) as consul:
        with pytest.raises(Refused, match="403"):
            await consul.call("PUT", "/v1/kv/key", "value", token="")
        assert await consul.call("PUT", "/v1/kv/key", "value")
        await consul.process.kill()
        await consul.process.start()

        kept = await wait_for(lambda: consul.call("GET", "/v1/kv/key"), "the key")
        assert "key" == kept[0]["Key"]


async def test_a_cluster_has_another_leader_after_the_loss_of_one():
    async with ConsulCluster() as cluster:
        leader = await cluster.leader()
        await leader.process.kill()

        assert leader is not await cluster.leader()


async def test_the_controllers_make_an_endpoint_slice_of_a_service_and_a_pod():
    async with KubeApi(controller_manager=True) as kube:
        spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        services = "/api/v1/namespaces/default/services"
        await kube.call("POST", services, {"metadata": {"name": "web"}, "spec": spec})

        async def slices():
            return (await kube.call("GET", SLICES))["items"]

        [made] = [s for s in await wait_for(slices, "slices") if "web" in s["metadata"]["name"]]
        assert "IPv4" == made["addressType"]
        with pytest.raises(Refused, match="401"):
            await kube.call("GET", SLICES, token="nobody")


async def test_a_test_that_is_killed_leaves_no_server_behind():
    assert binary("consul").exists()
    command = [sys.executable, "-c", VICTIM, *sys.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        line = victim.stdout.readline()
        victim.send_signal(signal.SIGKILL)

    async def gone() -> bool:
        status = Path(f"/proc/{int(line)}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"

    assert await wait_for(gone, "the server to be gone")
