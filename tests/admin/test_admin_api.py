"""The HTTP API: what it answers, in the shapes that are documented."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from inside import Inside, inside
from mesh import free_port, http_get, mesh, until
from pilot_core import __version__
from pilot_core.admin import openapi, shapes
from program import FAULT, write_mesh

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SERVICE = "/api/v1/services/reviews.shop.mesh"


@pytest.fixture
async def daemon(tmp_path) -> AsyncIterator[Inside]:
    async with inside(write_mesh(tmp_path)) as made:
        yield made


async def test_a_service_has_exactly_the_documented_fields(daemon):
    assert {
        "hostname": "reviews.shop.mesh",
        "namespace": "shop",
        "registries": ["files"],
        "ports": [{"name": "http", "number": 80, "protocol": "http"}],
        "resolution": "static",
        "visibility": ["*"],
        "endpoints": {"total": 2, "healthy": 1},
        "conflicts": [],
    } == await daemon.ask(SERVICE)


async def test_an_endpoint_has_exactly_the_documented_fields(daemon, tmp_path):
    [first, second] = await daemon.items(f"{SERVICE}/endpoints")

    assert {
        "address": "10.0.0.7",
        "ports": {"http": 9000},
        "health": "healthy",
        "weight": 1,
        "locality": "west/a/1",
        "network": None,
        "labels": {"version": "v1"},
        "workload": "reviews-v1",
        "service_account": "reviews",
        "identity": None,
        "tls": "plain",
        "registry": "files",
        "source": f"{tmp_path}/catalogue/shop.yaml",
    } == first
    assert list(first) == list(second)


async def test_a_registry_has_exactly_the_documented_fields(daemon):
    [registry] = await daemon.items("/api/v1/registries")

    times = [registry.pop(key) for key in ("since", "last_change")]
    assert all(RFC3339.fullmatch(time) for time in times)
    assert {
        "name": "files",
        "kind": "file",
        "state": "synced",
        "required": True,
        "services": 2,
        "endpoints": 2,
        "sources": 1,
        "sessions": 1,
        "error": None,
        "warnings": 1,
        "held": None,
    } == registry


async def test_a_problem_has_exactly_the_documented_fields(daemon, tmp_path):
    problems = await daemon.items("/api/v1/problems")
    [problem] = [p for p in problems if p["severity"] == "error"]

    assert RFC3339.fullmatch(problem.pop("since"))
    assert {
        "code": "object-refused",
        "severity": "error",
        "registry": "files",
        "source": f"{tmp_path}/catalogue/shop.yaml",
        "origin": f"{tmp_path}/catalogue/shop.yaml{FAULT}",
        "count": 1,
    }.items() <= problem.items()
    assert 'expected a whole number, found the string "eighty"' in problem["message"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("services", "ServiceList"),
        ("services/reviews.shop.mesh/endpoints", "EndpointList"),
        ("registries", "RegistryList"),
        ("proxies", "ProxyList"),
        ("problems", "ProblemList"),
    ],
)
async def test_lists_come_in_one_envelope(daemon, path, kind):
    answer = await daemon.ask(f"/api/v1/{path}")

    assert ["apiVersion", "kind", "items"] == list(answer)
    assert ("pilot-core/v1", kind) == (answer["apiVersion"], answer["kind"])


async def test_services_are_sorted_and_their_endpoints_may_be_none(daemon):
    names = [item["hostname"] for item in await daemon.items("/api/v1/services")]

    assert ["ratings.shop.mesh", "reviews.shop.mesh"] == names
    assert [] == await daemon.items("/api/v1/services/ratings.shop.mesh/endpoints")


@pytest.mark.parametrize(
    ("path", "error", "hint"),
    [
        ("/api/v1/services/rating.shop.mesh", "no service rating", "mean ratings.shop.mesh?"),
        ("/api/v1/services/x/endpoints", "no service x", "/api/v1/services"),
        ("/api/v1/proxies/x", "no proxy x is connected", "pilot-core ps"),
        ("/api/v1/proxies/x/config", "no proxy x is connected", "pilot-core ps"),
        ("/api/v1/servces", "nothing at /api/v1/servces", "mean /api/v1/services?"),
        ("/debug/config_dump?proxyID=x", "no proxy x is connected", "pilot-core ps"),
    ],
)
async def test_what_is_not_there_is_a_404_that_says_what_to_do(daemon, path, error, hint):
    status, body = await daemon.get(path)

    said = json.loads(body)
    assert 404 == status
    assert ["error", "hint"] == list(said)
    assert error in said["error"]
    assert hint in said["hint"]


async def test_a_type_that_is_none_is_a_400_that_names_those_there_are(daemon):
    status, body = await daemon.get("/api/v1/proxies/x/config?type=clsters")

    assert 400 == status
    assert "'clsters' is none of clusters, endpoints, listeners, routes, secrets" in body


async def test_writing_is_refused(daemon):
    status, body = await daemon.get("/api/v1/services", method="DELETE")

    assert 405 == status
    assert "GET" in json.loads(body)["hint"]


async def test_the_version_is_the_package_s(daemon):
    said = await daemon.ask("/version")

    assert {"name": "pilot-core", "version": __version__, "api": "pilot-core/v1"} == said


async def test_it_lives_from_the_start_and_is_ready_once_its_registries_were_read(tmp_path):
    async with inside(write_mesh(tmp_path), serve=False) as daemon:
        assert (200, "ok\n") == await daemon.get("/livez")
        assert (503, "not ready\n") == await daemon.get("/readyz")
        await daemon.serve()

        assert (200, "ready\n") == await daemon.get("/readyz")
        assert (200, "ready\n[+] files: synced\n") == await daemon.get("/readyz?verbose=1")


async def test_readiness_names_the_registry_that_is_lacking(tmp_path):
    config = write_mesh(tmp_path)
    text = config.read_text().replace(
        "adapters:\n",
        "adapters:\n"
        '- {name: web, kind: http, config: {url: "http://127.0.0.1:1/"}}\n'
        '- {name: extra, kind: http, required: false, config: {url: "http://127.0.0.1:1/"}}\n',
    )
    config.write_text(text + "startup: {sync_timeout: 100ms}\n")
    async with inside(config, serve=False) as daemon:
        starting = await daemon.get("/readyz?verbose=1")
        await daemon.serve()

        async def failed() -> str:
            page = (await daemon.get("/readyz?verbose=1"))[1]
            return page if page.count("http://127.0.0.1:1/") == 2 else ""

        page = await until(failed, "both registries to have failed")

    assert (503, "not ready\n") == starting
    [ready, web, extra, files] = page.splitlines()
    assert ("ready", "[+] files: synced") == (ready, files)
    assert "web: starting: http://127.0.0.1:1/" in web
    assert extra.endswith("(not required)")


async def test_the_description_matches_the_answers(daemon):
    described = await daemon.ask("/api/v1/openapi.json")

    assert "3.1.0" == described["openapi"]
    for path, shape in [
        ("/version", shapes.ShownVersion),
        (SERVICE, shapes.ShownService),
        ("/api/v1/services", shapes.Listing[shapes.ShownService]),
        (f"{SERVICE}/endpoints", shapes.Listing[shapes.ShownEndpoint]),
        ("/api/v1/registries", shapes.Listing[shapes.ShownRegistry]),
        ("/api/v1/problems", shapes.Listing[shapes.ShownProblem]),
    ]:
        said = await daemon.ask(path)
        # Equal both ways: nothing is lacking, and nothing is said beyond it.
        assert said == msgspec.to_builtins(msgspec.convert(said, shape))


def test_every_reference_in_the_description_leads_somewhere():
    described = openapi.document()

    references = set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(described)))
    assert references
    assert references <= set(described["components"]["schemas"])


async def test_every_path_of_the_api_is_described(daemon):
    resources = daemon.parts.admin.paths()

    assert {p for p in resources if p.startswith("/api/v1/")} - {"/api/v1/openapi.json"} == {
        p for p in openapi.document()["paths"] if p.startswith("/api/v1/")
    }


def _strip(proxy: dict[str, Any]) -> dict[str, Any]:
    for shown in filter(None, proxy["types"].values()):
        assert RFC3339.fullmatch(shown.pop("since"))
        assert shown.pop("version") == shown.pop("acked")
    assert RFC3339.fullmatch(proxy.pop("connected_since"))
    return proxy


@pytest.mark.envoy
async def test_a_real_envoy_is_shown_with_all_that_it_has_been_given():
    async with mesh() as stage:
        stage.write(
            "shop.yaml", "services: [{hostname: a.mesh, ports: [{name: http, number: 80}]}]"
        )
        daemon = await stage.daemon()
        listener = f"127.0.0.1:{free_port()}"
        await stage.envoy(daemon, "web", "--namespace", "shop", "--http-listener", listener)

        async def synced() -> dict[str, Any] | None:
            [proxy] = await daemon.items("/api/v1/proxies")
            types = [proxy["types"][t] for t in ("CDS", "LDS")]
            return proxy if all(t and t["state"] == "synced" for t in types) else None

        proxy = await until(synced, "the proxy to be in sync")
        config = await daemon.ask("/api/v1/proxies/web/config?type=clusters")
        whole = await daemon.ask("/api/v1/proxies/web/config?type=all")
        dump = await daemon.ask(f"/debug/config_dump?proxyID={proxy['id']}")
        _, metrics = await http_get(daemon.admin, "/metrics")
        syncz = await daemon.ask("/debug/syncz")
        adsz = await daemon.ask("/debug/adsz")

    assert ["CDS", "LDS", "EDS", "RDS", "SDS"] == list(proxy["types"])
    assert proxy["types"]["SDS"] is None
    shown = _strip({**proxy, "types": {"CDS": proxy["types"]["CDS"]}})
    assert {
        "id": "sidecar~127.0.0.1~web.shop~shop.svc.cluster.local",
        "namespace": "shop",
        "workload": "web",
        "address": "127.0.0.1",
        "mode": "none",
        "platform": None,
        "variant": "delta",
        "types": {"CDS": {"state": "synced", "error": None}},
    } == {key: value for key, value in shown.items() if key != "version"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", shown["version"])
    assert "outbound|80||a.mesh" in [c["name"] for c in config["clusters"]]
    assert None is config["routes"]
    assert dump == whole
    assert ["proxy", "clusters", "endpoints", "listeners", "routes", "secrets"] == list(dump)
    assert b'pilot_xds{variant="delta"} 1.0' in metrics
    assert syncz[0]["cds_sent"] == syncz[0]["cds_acked"] is not None
    assert (1, proxy["id"]) == (adsz["totalClients"], adsz["clients"][0]["id"])


async def test_the_debug_pages_are_lists_of_what_is_known(daemon):
    registryz = await daemon.ask("/debug/registryz")
    endpointz = await daemon.ask("/debug/endpointz")
    configz = await daemon.ask("/debug/configz")

    assert await daemon.items("/api/v1/services") == registryz
    endpoints = await daemon.items(f"{SERVICE}/endpoints")
    assert [{"svc": "reviews.shop.mesh", "ep": endpoints}] == endpointz
    assert await daemon.items("/api/v1/registries") == configz
    assert [] == await daemon.ask("/debug/syncz")
    assert {"totalClients": 0, "clients": []} == await daemon.ask("/debug/adsz")


async def test_a_dump_without_a_proxy_says_how_to_name_one(daemon):
    status, body = await daemon.get("/debug/config_dump")

    assert 400 == status
    assert "/debug/config_dump?proxyID=ID" in body
