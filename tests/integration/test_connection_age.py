"""Connections with mutual TLS end before a certificate does: nobody's request ends with them."""

from __future__ import annotations

import json
from typing import Any

import pytest

import mutual
from authorities import DOMAIN
from envoy_config import standalone
from mesh import Envoy, free_port, http_get, until
from mutual import Stage
from nodes import Load
from pilot_core.model import Inbound, InboundTls, Port, Protocol, TlsMode, World
from pilot_core.model.proxy import describe
from pilot_core.model.record import Claim
from pilot_xds.rendering import translate
from worlds import endpoint, service, world

pytestmark = pytest.mark.envoy

SHOP = "reviews.default.mesh"
STRICT = Inbound(name="*", mode=InboundTls.STRICT)
LONG = {"caller": "3000s", "listener": "3600s"}
"""How old callers and listeners let a connection become; a test has to see many of them end."""


def here(own: str, port: int) -> World:
    reviews = service(SHOP, "default", ports=(Port("http", 80, Protocol.HTTP),))
    at = endpoint(own, ports=(("http", port),), service_account="reviews", tls=TlsMode.MUTUAL)
    made, _ = world(reviews, reviews=[at]).apply({}, {}, {STRICT.key: (Claim("f", "f", STRICT),)})
    return made


async def run(stage: Stage, made: World, who: tuple[str, str], ends: str, **metadata: Any) -> Envoy:
    """An Envoy with what it would be given, all of it static, save that this end is impatient."""
    account, own = who
    said = {"PILOT_TLS": "agent", **metadata}
    proxy = describe(f"sidecar~{own}~{account}.default~mesh", said)
    text = json.dumps(standalone(translate(made, proxy, DOMAIN)))
    text = text.replace(f'"{LONG[ends]}"', '"0.5s"')
    node = stage.node(account)
    await stage.started(node)
    bootstrap = json.loads(text)
    bootstrap["node"] = {"id": account, "cluster": "test"}
    bootstrap["static_resources"]["clusters"].append(mutual.agent_cluster(node))
    path = stage.mesh.folder / f"{account}.json"
    path.write_text(json.dumps(bootstrap))
    envoy = Envoy(stage.mesh.folder, account)
    stage.mesh.at_end(envoy.kill)
    await envoy.run(path)
    return envoy


@pytest.mark.parametrize("ends", LONG)
async def test_connections_end_under_load_and_no_request_fails(ends):
    async with mutual.stage() as stage:
        app, at = await stage.mesh.backend("app"), stage.address()
        listener = f"127.0.0.1:{free_port()}"
        to_app = {str(at[1]): f"127.0.0.1:{app.port}"}
        made = here(*at)
        server = await run(stage, made, ("reviews", at[0]), ends, PILOT_INBOUND=to_app)
        client = ("web", "127.0.0.1")
        await run(stage, made, client, ends, PILOT_HTTP_LISTENER=listener)

        async def works() -> bool:
            return await http_get(listener, host=SHOP) == (200, b"app")

        await until(works, "an answer through both")
        name = f"listener.{at[0]}_{at[1]}.downstream_cx_total"

        async with Load(listener, SHOP) as load:

            async def many() -> bool:
                return await server.stat(name) > 10

            await until(many, "connections to end and others to begin")
            await load.more(100)
            assert [] == load.failed
