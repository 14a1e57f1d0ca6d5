"""What a foundation holds in confidence, against everything that the daemon shows or keeps.

The daemon is a process of its own, at debug level; its foundation has a secret of its own kind
wherever one can be, and then refuses, garbles and ends everything, for errors are what talks most.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import fake_bbs
import pytest
from bbs_lrps import ENVIRONMENT, GROUP, KEY, desired, http_route, process_guid, running
from fake_bbs import FakeBbs
from fake_cloud_controller import CLIENT, SECRET, FakeCloudController, resource
from fake_routing_api import FakeRoutingApi
from route_emitter import RouteEmitter

from consul_tls import Authority
from mesh import Daemon, Envoy, http_get, mesh, until
from nats_server import NatsServer
from pilot_core.admin.debug import Debug
from pilot_core.admin.openapi import document
from pilot_core.admin.view import View
from program import process

pytestmark = pytest.mark.envoy

H, GUARDED, OLD = "cart.example.com", "guarded.example.com", "old.example.com"
TCP, CART = f"tcp-{GROUP}", process_guid("cart")
PROXY = "router"
LISTENER, STALE = "staple-of-the-listener", "staple-of-last-year"
EMITTER = "staple-of-the-emitter"
REFUSED_CLIENT = "battery-of-last-year"
DOCKER = "docker-password-of-an-application"
GUARD = "password-of-a-route-service"
GARBLED = "secret-in-a-message-that-cannot-be-read"
BUILDPACK = "password-of-a-buildpack"
SECRETS = (
    *(KEY, ENVIRONMENT, DOCKER, GUARD, SECRET, REFUSED_CLIENT, f"{CLIENT}:{SECRET}"),
    *(LISTENER, STALE, EMITTER, GARBLED, BUILDPACK),
)
_DOCKER_FIELD = bytes([0x8A, 0x02, len(DOCKER)]) + DOCKER.encode()
"""As field 33 of a DesiredLRP, which no schema of ours has."""


class Stage:
    """A foundation of every source there is, and a daemon and a proxy over it."""

    bbs: FakeBbs
    api: FakeCloudController
    routing: FakeRoutingApi
    nats: NatsServer
    daemon: Daemon
    envoy: Envoy

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.tokens: frozenset[str] = frozenset()
        """Those that were good once."""
        self.authority = Authority(folder)
        self.client = self.authority.issue("mesh")
        self.client_secret, self.credentials = folder / "uaa.secret", folder / "nats.secret"
        self.client_secret.write_text(SECRET)
        self.credentials.write_text(f"mesh:{LISTENER}\n")

    def adapter(self) -> str:
        ca = str(self.authority.file)
        config = {
            "bbs": {
                "url": self.bbs.url,
                "ca_file": ca,
                "cert_file": str(self.client.cert),
                "key_file": str(self.client.key),
            },
            "nats": {"servers": [self.nats.url], "credentials_file": str(self.credentials)},
            "uaa": {
                "client_id": CLIENT,
                "client_secret_file": str(self.client_secret),
                "ca_file": ca,
            },
            "api": {"url": self.api.url, "ca_file": ca, "interval": "200ms"},
            "routing_api": {"url": self.routing.url, "ca_file": ca, "resync": "200ms"},
            "instance_ca_file": ca,
            "settle": "300ms",
        }
        return f"- {json.dumps({'name': 'cf1', 'kind': 'cloudfoundry', 'config': config})}\n"

    def fill(self) -> None:
        """Applications and what leads to them, with what nobody else is to know."""
        url = f"https://service:{GUARD}@guard.example.com/"
        routes = [http_route(H), http_route(GUARDED, route_service_url=url)]
        lrp = desired(CART, http=routes, internal=["cart.apps.internal"])
        lrp.MergeFromString(_DOCKER_FIELD)
        self.bbs.desire(lrp)
        self.bbs.run(running("i0", CART))
        buildpack = f"https://user:{BUILDPACK}@git.example.com/buildpack"
        app = resource("app-1", labels={"team": "blue"})
        app["lifecycle"] = {"type": "buildpack", "data": {"buildpacks": [buildpack]}}
        self.api.add("apps", app)
        self.api.add("processes", resource(CART[:36], app="app-1"))
        self.routing.upsert(GROUP, 1040, "10.0.2.7", 5432)

    def secrets(self) -> Iterator[str]:
        """All of them, also as they look when something encodes them."""
        lines = self.client.key.read_text().splitlines()
        yield from (line for line in lines if "-----" not in line)
        for secret in (*SECRETS, *self.tokens, *self.api.tokens):
            yield from (secret, secret.encode().hex())
            for shift in range(3):
                # Its ends depend on what stands beside it.
                encoded = base64.b64encode(bytes(shift) + secret.encode()).decode()
                yield encoded[4:-4]

    def shown_in(self, page: str) -> list[str]:
        return [secret for secret in self.secrets() if secret in page]

    async def page(self, path: str) -> str:
        return (await http_get(self.daemon.admin, path))[1].decode()

    async def pages(self) -> dict[str, str]:
        """Whatever the daemon answers to anybody, and what the program prints of it."""
        found = {path: await self.page(path) for path in _paths()}
        found["Envoy"] = (await http_get(self.envoy.admin, "/config_dump?include_eds"))[1].decode()
        for words in _VERBS:
            ran = await asyncio.to_thread(
                process, *words, PILOT_CORE_SERVER=f"http://{self.daemon.admin}"
            )
            found[" ".join(words)] = ran.out + ran.err
        return found

    async def shows(self, path: str, *words: str) -> None:
        async def shown() -> bool:
            page = await self.page(path)
            if missing := [word for word in words if word not in page]:
                raise KeyError(f"{missing} in {page}")
            return True

        await until(shown, f"{words} in {path}")

    async def is_silent(self) -> None:
        pages = await self.pages()
        assert {} == {path: found for path in pages if (found := self.shown_in(pages[path]))}
        assert [] == [path for path in _TELLING if H not in pages[path]]

    def kept(self) -> dict[str, str]:
        """Every file that the daemon has written, byte for byte."""
        files = [self.folder / "daemon.log", *self.state.rglob("*")]
        return {str(f): f.read_bytes().decode("latin-1") for f in files if f.is_file()}


_VERBS = (
    *(("proxy-config", "all", PROXY, "-o", form) for form in ("table", "json", "yaml")),
    *((verb, "-o", form) for verb in ("problems", "registries") for form in ("wide", "json")),
    *(("services", "-o", "json"), ("ps", "-o", "json"), ("endpoints", H, "-o", "json")),
)
_DUMP = f"/debug/config_dump?proxyID={PROXY}"
_TELLING = (
    *("/api/v1/services", f"/api/v1/services/{H}/endpoints", f"/api/v1/proxies/{PROXY}/config"),
    *("/debug/registryz", "/debug/endpointz", _DUMP, "Envoy"),
    *(f"proxy-config all {PROXY} -o json", "services -o json"),
)
"""Where the application is found: what says nothing gives nothing away."""


def _paths() -> list[str]:
    """Every path that answers a GET, besides the stream of events."""
    described: dict[str, Any] = document()["paths"]
    debug = (route.path for route in Debug(cast(View, None)).routes())
    more = ["/livez", "/readyz?verbose=1", "/metrics", "/version", "/api/v1/openapi.json"]
    found = {*(path for path in described if "get" in described[path]), *debug, *more}
    named = {p.replace("{hostname}", H).replace("{id}", PROXY) for p in found}
    return sorted(named - {"/api/v1/events", "/debug/config_dump"} | {_DUMP})


async def events(daemon: Daemon) -> str:
    """The stream of events until it ends, with the daemon."""
    host, _, port = daemon.admin.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /api/v1/events HTTP/1.1\r\nhost: {daemon.admin}\r\n\r\n".encode())
    said = await reader.read()
    writer.close()
    return said.decode()


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    stage = Stage(folder)
    users = [{"user": "mesh", "password": LISTENER}, {"user": "emitter", "password": EMITTER}]
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(mesh())
        stage.bbs = await stack.enter_async_context(FakeBbs(stage.authority))
        stage.api = await stack.enter_async_context(FakeCloudController(stage.authority))
        routing = FakeRoutingApi(stage.authority, stage.api.tokens)
        stage.routing = await stack.enter_async_context(routing)
        server = NatsServer({"authorization": {"users": users}})
        stage.nats = await stack.enter_async_context(server)
        stage.fill()
        more = f"state_dir: {stage.state}\n"
        stage.daemon = Daemon(folder, stage.adapter(), more=more)
        stage.daemon.options = ("--log-level", "debug")
        made.at_end(stage.daemon.stop)
        await stage.daemon.start()
        stage.envoy = await made.envoy(stage.daemon, PROXY)
        yield stage


async def refuse(stage: Stage) -> None:
    """Nobody takes what we show any more, and what is told cannot be read."""
    stage.client_secret.write_text(REFUSED_CLIENT)
    stage.tokens = frozenset(stage.api.tokens)
    stage.api.tokens.clear()
    stage.credentials.write_text(f"mesh:{STALE}\n")
    await stage.nats.process.stop()
    await stage.nats.process.start()


async def test_no_secret_is_in_any_page_dump_log_or_file_be_it_that_everything_fails(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as stage:
        listening = asyncio.create_task(events(stage.daemon))
        url = stage.nats.url.replace("nats://", f"nats://emitter:{EMITTER}@")
        async with RouteEmitter(url) as emitter:
            service = f"https://service:{GUARD}@guard.example.com/"
            more = {"tags": {"component": "vm"}, "route_service_url": service}
            emitter.register(OLD, "10.0.9.1", id="vm-0", **more)
            await emitter.publish("router.register", f'{{"uris": "{GARBLED}'.encode())
            await stage.shows("/api/v1/services", H, GUARDED, OLD, TCP, "cart.apps.internal")
            await stage.shows(f"/api/v1/services/{H}/endpoints", "label.cf/team", "blue")
            await stage.shows("/api/v1/problems", "a route service")
            await stage.shows(f"/api/v1/proxies/{PROXY}/config", H)
            await stage.is_silent()
        await refuse(stage)
        problems = "/api/v1/problems"
        await stage.shows(problems, "refuses these credentials", "gives no token to")
        await stage.is_silent()
        stage.bbs.answers[fake_bbs.ROUTING] = lambda: (200, KEY.encode())
        await stage.bbs.stop()
        await stage.bbs.start()
        await stage.shows(problems, f"{len(KEY)} bytes are no DesiredLRPsResponse")
        await stage.is_silent()

        await stage.daemon.stop()
        kept = {**stage.kept(), "events": await listening}
        assert {} == {name: found for name in kept if (found := stage.shown_in(kept[name]))}
        assert any(H in kept[name] for name in kept if name.startswith(str(stage.state)))
        assert "event: problems" in kept["events"]
        assert [] != stage.shown_in(base64.b64encode(f"..{KEY}.".encode()).decode())
        assert "message makes no sense" in kept[str(stage.folder / "daemon.log")]
