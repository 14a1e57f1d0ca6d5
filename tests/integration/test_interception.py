"""Applications that know nothing of the mesh, on hosts of their own: real Envoys, real rules."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hosts import PROXY_GROUP, Host, Network, hosts
from mesh import until

pytestmark = pytest.mark.envoy

CATALOGUE = """
services:
- hostname: web.shop.mesh
  namespace: shop
  addresses: [10.96.0.10]
  ports: [{name: http, number: 80, protocol: http}, {name: raw, number: 5000, protocol: tcp}]
  endpoints:
  - {address: 10.77.2.2, ports: {http: 8080, raw: 8080}}
"""
CONFIG = """
apiVersion: pilot-core/v1
adapters:
- {name: files, kind: file, config: {paths: [FOLDER]}}
xds: {address: "10.77.0.1:15010", insecure: true}
state_dir: STATE
"""
APPLICATION = """
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{sys.argv[1]} {self.client_address[0]}".encode())

http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"""
CALL = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode())"
THROUGH_THE_SIDECAR = "127.0.0.6"


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    folder = tmp_path / "catalogue"
    folder.mkdir()
    (folder / "web.yaml").write_text(CATALOGUE)
    config = tmp_path / "pilot.yaml"
    config.write_text(
        CONFIG.replace("FOLDER", str(folder)).replace("STATE", str(tmp_path / "state"))
    )
    async with hosts("client", "server") as made:
        log = tmp_path / "daemon.log"
        await made.router.start(
            sys.executable, "-m", "pilot_core", "run", "-c", str(config), log=log
        )
        for port in ("8080", "7000"):
            await made["server"].start(
                sys.executable, "-c", APPLICATION, port, log=tmp_path / f"application-{port}.log"
            )
        yield made


async def sidecar(host: Host, workload: str, tmp_path: Path, *more: str) -> None:
    """An Envoy of the proxies' own group, and the rules that bring it its traffic."""
    await host.start(
        *(sys.executable, "-m", "pilot_core", "proxy", "--workload", workload),
        *("--namespace", "shop", "--address", host.address, "--mode", "redirect"),
        *("--xds", "10.77.0.1:15010", "--base-id-auto", *more),
        log=tmp_path / f"{workload}.log",
        group=PROXY_GROUP,
    )

    async def has_listeners() -> bool:
        listeners = await stats(host, "/listeners")
        return "virtualInbound" in listeners and "virtualOutbound" in listeners

    await until(has_listeners, f"the listeners of {workload}")
    await host.run(sys.executable, "-m", "pilot_core", "iptables", "--apply")


async def stats(host: Host, path: str) -> str:
    return await host.run(sys.executable, "-c", CALL, f"http://127.0.0.1:15000{path}")


async def call(host: Host, url: str) -> list[str]:
    """The application's port, and who it takes the caller for."""
    return (await host.run(sys.executable, "-c", CALL, url)).split()


async def counted(host: Host, name: str) -> int:
    found = await stats(host, f"/stats?filter=^{name}$")
    return int(found.partition(":")[2] or 0)


async def test_a_call_to_a_virtual_address_goes_through_both_sidecars(network, tmp_path):
    client, server = network["client"], network["server"]
    await sidecar(client, "shopper", tmp_path)
    await sidecar(server, "web", tmp_path)

    assert ["8080", THROUGH_THE_SIDECAR] == await call(client, "http://10.96.0.10/")
    assert 1 == await counted(client, "http.0_0_0_0_80.downstream_rq_2xx")
    assert 1 == await counted(server, "http.inbound_10_77_2_2_8080.downstream_rq_2xx")

    # The same by bytes, by the application's own address, and at a port that no registry knows.
    assert ["8080", THROUGH_THE_SIDECAR] == await call(client, "http://10.96.0.10:5000/")
    assert ["8080", THROUGH_THE_SIDECAR] == await call(client, "http://10.77.2.2:8080/")
    assert ["7000", THROUGH_THE_SIDECAR] == await call(client, "http://10.77.2.2:7000/")
    # And by a caller that is its own server: out by one port of its sidecar, in by the other.
    assert ["8080", THROUGH_THE_SIDECAR] == await call(server, "http://10.96.0.10/")


async def test_where_only_the_mesh_may_be_reached_all_else_is_refused(network, tmp_path):
    client = network["client"]
    await sidecar(client, "shopper", tmp_path, "--registry-only")

    assert ["8080", client.address] == await call(client, "http://10.96.0.10/")
    with pytest.raises(OSError, match=r"RemoteDisconnected|reset"):
        await call(client, "http://10.77.2.2:7000/")


async def test_undone_rules_leave_nothing_behind(network, tmp_path):
    client = network["client"]
    before = await client.run("iptables", "-t", "nat", "-S")
    await sidecar(client, "shopper", tmp_path)
    assert "15001" in await client.run("iptables", "-t", "nat", "-S")

    await client.run(sys.executable, "-m", "pilot_core", "iptables", "--undo")

    assert before == await client.run("iptables", "-t", "nat", "-S")
    assert ["8080", client.address] == await call(client, "http://10.77.2.2:8080/")
