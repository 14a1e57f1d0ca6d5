"""Several clusters, each a real API server: they come, rotate, die and go beside others."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kube_platforms import apply, clear, collection
from objects import endpoint, endpoint_slice, service
from pilot_adapter_kubernetes.adapter import ClustersConfig, Kubernetes, KubernetesConfig

from kube_server import KubeApi
from mesh import http_get, mesh, until
from pilot_core.testing import RecordingSink, host, session

WEB = "web.shop.svc.cluster.local"
HOME, AWAY = "10.1.0.1", "10.2.0.1"
SECRETS = "/api/v1/namespaces/shop/secrets"


@pytest.fixture
async def home(servers: tuple[KubeApi, KubeApi]) -> KubeApi:
    await _holds(servers[0], HOME)
    for item in (await servers[0].call("GET", SECRETS))["items"]:
        await servers[0].call("DELETE", f"{SECRETS}/{item['metadata']['name']}")
    return servers[0]


@pytest.fixture
async def away(servers: tuple[KubeApi, KubeApi]) -> KubeApi:
    if not servers[1].api.running:
        await servers[1].api.start()
    await _holds(servers[1], AWAY)
    return servers[1]


async def _holds(server: KubeApi, address: str) -> None:
    """Its only service is `web`, with one endpoint."""
    await clear(server)
    await apply(server, service("web"))
    await apply(server, endpoint_slice("web-1", "web", endpoint(address)))


def kubeconfig(server: KubeApi, comment: str = "", **user: object) -> str:
    """All in one text, as a Secret needs it."""
    said = json.loads(server.kubeconfig.read_text())
    ca = base64.b64encode(server.ca.read_bytes()).decode()
    said["clusters"][0]["cluster"] = {"server": server.url, "certificate-authority-data": ca}
    said["users"][0]["user"].update(user)
    said["preferences"] = {"comment": comment}
    return json.dumps(said)


def secret(name: str, **clusters: str) -> dict[str, object]:
    labels = {"istio/multiCluster": "true"}
    return {"metadata": {"name": name, "labels": labels}, "stringData": clusters}


def adapter(home: KubeApi, *files: Path, secrets: str = "") -> Kubernetes:
    clusters = ClustersConfig(files=files, secrets=secrets)
    config = KubernetesConfig(kubeconfig=home.kubeconfig, namespaces=("shop",), clusters=clusters)
    return Kubernetes(config, host())


@contextlib.asynccontextmanager
async def synced(adapter: Kubernetes) -> AsyncIterator[RecordingSink]:
    async with session(adapter) as sink:
        async with asyncio.timeout(60):
            await sink.until(lambda: sink.is_synced)
        yield sink


async def sees(sink: RecordingSink, *addresses: str) -> None:
    await sink.until(lambda: sink.view.get(WEB) == sorted(addresses))


class Watched(RecordingSink):
    """Remembers every set of addresses that the service ever had."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, ...]] = set()

    def put(self, source: str, records: object) -> None:
        super().put(source, records)  # type: ignore[arg-type]
        self.seen.add(tuple(self.view.get(WEB, ())))

    def look(self) -> None:
        """From now on."""
        self.seen.clear()


async def test_a_service_of_two_clusters_is_one_service(home, away, tmp_path):
    (tmp_path / "away.yaml").write_text(kubeconfig(away))
    async with synced(adapter(home, tmp_path)) as sink:
        await sees(sink, HOME, AWAY)
        assert {WEB} == set(sink.services)
        assert {"service/shop/web", "cluster/away/service/shop/web"} == set(sink.sources)

        await apply(away, endpoint_slice("web-1", "web", endpoint("10.2.0.9")))
        await sees(sink, HOME, "10.2.0.9")
        await away.call("DELETE", f"{collection('Service', 'shop')}/web")
        await sink.until(lambda: len(sink.hostnames) == 1)
        assert {WEB} == set(sink.services)


async def test_a_cluster_from_a_file_comes_rotates_without_a_gap_and_goes(home, away, tmp_path):
    sink = Watched()
    async with session(adapter(home, tmp_path), sink):
        await sink.until(lambda: sink.is_synced)
        await sees(sink, HOME)
        file = tmp_path / "away.yaml"
        file.write_text(kubeconfig(away))
        await sees(sink, HOME, AWAY)

        sink.look()
        puts = len(sink.puts)
        file.write_text(kubeconfig(away, "rotated"))
        await sink.until(lambda: len(sink.puts) > puts)
        await apply(away, service("api"))
        await sink.until(lambda: len(sink.services) == 2)
        assert {(HOME, AWAY)} == sink.seen
        assert [] == sink.problems

        file.unlink()
        await sees(sink, HOME)
        assert {WEB} == set(sink.services)


async def test_a_cluster_from_a_secret_comes_rotates_without_a_gap_and_goes(home, away):
    sink = Watched()
    async with session(adapter(home, secrets="shop"), sink):
        await sink.until(lambda: sink.is_synced)
        await home.call("POST", SECRETS, secret("clusters", away=kubeconfig(away)))
        await sees(sink, HOME, AWAY)

        sink.look()
        puts = len(sink.puts)
        await home.call(
            "PATCH", f"{SECRETS}/clusters", secret("clusters", away=kubeconfig(away, "rotated"))
        )
        await sink.until(lambda: len(sink.puts) > puts)
        assert {(HOME, AWAY)} == sink.seen

        await home.call("PATCH", f"{SECRETS}/clusters", {"metadata": {"labels": None}})
        await sees(sink, HOME)


async def test_new_credentials_that_do_not_work_leave_the_old_session_alone(home, away, tmp_path):
    file = tmp_path / "away.yaml"
    file.write_text(kubeconfig(away))
    async with synced(adapter(home, tmp_path)) as sink:
        file.write_text(kubeconfig(away, token="wrong"))
        await sink.until(lambda: sink.problems)
        [(origin, text)] = sink.problems
        assert f"cluster away ({file}): cannot list" in text
        assert str(file) == origin

        await apply(away, endpoint_slice("web-1", "web", endpoint("10.2.0.7")))
        await sees(sink, HOME, "10.2.0.7")
        file.write_text(kubeconfig(away, "repaired"))
        await sink.until(lambda: not sink.problems)


async def test_a_dead_cluster_holds_up_nobody_and_comes_when_it_can(home, away, tmp_path):
    await away.api.kill()
    (tmp_path / "away.yaml").write_text(kubeconfig(away))
    async with session(adapter(home, tmp_path)) as sink:
        await sees(sink, HOME)
        await sink.until(lambda: sink.lost)
        [(_, text)] = sink.lost
        assert f"cluster away ({tmp_path / 'away.yaml'}): {away.url} cannot be reached" in text

        await apply(home, service("api"))
        await sink.until(lambda: len(sink.services) == 2)
        await away.api.start()
        async with asyncio.timeout(60):
            await sees(sink, HOME, AWAY)
            await sink.until(lambda: sink.is_synced)
        assert [] == sink.lost


async def test_a_daemon_is_ready_and_serves_without_a_cluster_that_is_dead(home, away, tmp_path):
    await away.api.kill()
    (tmp_path / "away.yaml").write_text(kubeconfig(away))
    config = f"{{kubeconfig: {home.kubeconfig}, clusters: {{files: [{tmp_path}]}}}}"
    async with mesh() as stage:
        daemon = await stage.daemon(
            f"- {{name: here, kind: kubernetes, config: {config}}}\n",
            more="startup: {sync_timeout: 2s}\n",
        )

        async def is_ready() -> bool:
            return (await http_get(daemon.admin, "/readyz"))[0] == 200

        await until(is_ready, "the daemon to be ready")

        async def serves() -> bool:
            return WEB in [s["hostname"] for s in await daemon.items("/api/v1/services")]

        async def says_who_is_away() -> bool:
            problems = await daemon.items("/api/v1/problems")
            return any("cluster away" in problem["message"] for problem in problems)

        await until(serves, "the service of the cluster that lives")
        await until(says_who_is_away, "a problem that names the other")


async def test_a_cluster_that_dies_keeps_its_endpoints_and_loses_what_went_meanwhile(
    home, away, tmp_path
):
    await apply(away, service("old"))
    (tmp_path / "away.yaml").write_text(kubeconfig(away))
    sink = RecordingSink()
    one = adapter(home, tmp_path)
    async with session(one, sink):
        await sees(sink, HOME, AWAY)
        await away.api.kill()
        await sink.until(lambda: sink.lost)
        await sees(sink, HOME, AWAY)
        await apply(home, endpoint_slice("web-1", "web", endpoint("10.1.0.8")))
        await sees(sink, "10.1.0.8", AWAY)
    sink.next_session()
    async with session(one, sink):
        async with asyncio.timeout(60):
            await sink.until(lambda: sink.is_synced)
        await sees(sink, "10.1.0.8", AWAY)
        await away.api.start()
        await away.call("DELETE", f"{collection('Service', 'shop')}/old")
        async with asyncio.timeout(60):
            await sink.until(lambda: set(sink.services) == {WEB})
        assert [] == sink.lost


@pytest.mark.parametrize(
    "user",
    [
        {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch"}},
        {"tokenFile": "/etc/passwd"},
        {"client-key": "/etc/passwd"},
    ],
)
async def test_a_secret_runs_no_program_and_reads_no_file(home, away, user):
    await home.call("POST", SECRETS, secret("clusters", away=kubeconfig(away, **user)))
    async with session(adapter(home, secrets="shop")) as sink:
        await sink.until(lambda: sink.lost)
        [(_, text)] = sink.lost
        assert "secret/shop/clusters/away" in text
        assert f"users[].user.{next(iter(user))} is not allowed in a Secret" in text
        await sees(sink, HOME)


async def test_a_secret_that_is_no_kubeconfig_is_told_without_its_content(home):
    await home.call("POST", SECRETS, secret("clusters", away="a: [hunter2"))
    async with session(adapter(home, secrets="shop")) as sink:
        await sink.until(lambda: sink.lost)
        [(_, text)] = sink.lost
        assert "kubeconfig of Secret shop/clusters, key away cannot be used: it is no YAML" in text


async def test_a_name_that_is_given_twice_is_used_once(home, away, tmp_path):
    (tmp_path / "away.yaml").write_text(kubeconfig(away))
    await home.call("POST", SECRETS, secret("clusters", away=kubeconfig(home)))
    async with synced(adapter(home, tmp_path, secrets="shop")) as sink:
        await sees(sink, HOME, AWAY)
        assert [
            f"cluster away is named by {tmp_path / 'away.yaml'} already: this one is not used"
        ] == [text for _, text in sink.problems]


def test_files_that_are_not_there_are_findings(tmp_path):
    clusters = ClustersConfig(files=(tmp_path / "none",))
    [finding] = Kubernetes.check(KubernetesConfig(clusters=clusters))
    assert "there is no such kubeconfig file or folder" == finding.message
