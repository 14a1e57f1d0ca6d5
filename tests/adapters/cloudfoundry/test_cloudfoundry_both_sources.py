"""A BBS and a real NATS server together: Diego's word holds, and the others are there once."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from bbs_lrps import CELL, desired, http_route, process_guid, running
from fake_bbs import FakeBbs
from pilot_adapter_cloudfoundry import CloudFoundry
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig, NatsConfig
from route_emitter import RouteEmitter

from consul_tls import Authority
from foundation import Following, bbs_config
from nats_server import NatsServer
from pilot_core.adapter import Denied, Unavailable
from pilot_core.document import Duration
from pilot_core.testing import RecordingSink
from pilot_core.testing.session import host, session

H, CART, API = "cart.example.com", process_guid("cart"), "api.sys.example.com"
EP = [(f"{CELL}:61011", "i0")]
REGISTRAR = {"tags": {"component": "api"}, "app": "", "tls_port": 0}


class Both(Following):
    """The two sources; `emitter` speaks for whoever tells routes over NATS."""

    server: NatsServer
    emitter: RouteEmitter


@asynccontextmanager
async def both(*, settle: float = 0.3) -> AsyncIterator[Both]:
    async with AsyncExitStack() as stack:
        authority = Authority(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        bbs = await stack.enter_async_context(FakeBbs(authority))
        server = await stack.enter_async_context(NatsServer())
        config = CloudFoundryConfig(
            bbs=bbs_config(authority, bbs),
            nats=NatsConfig(servers=(server.url,)),
            settle=Duration(settle),
        )
        found = Both(bbs, CloudFoundry(config, host()), RecordingSink())
        found.server = server
        found.emitter = await stack.enter_async_context(RouteEmitter(server.url))
        bbs.desire(desired(CART, http=[http_route(H)]))
        bbs.run(running("i0", CART))
        yield found


def told_by_emitter(found: Both, guid: str = "i0", address: str = CELL) -> None:
    """The same instance, as the route-emitter tells it."""
    found.emitter.register(H, address, id=guid, tls_port=61011)


async def test_an_instance_that_both_know_is_there_once() -> None:
    async with both() as found:
        told_by_emitter(found)
        found.emitter.register(API, "10.0.1.5", id="registrar-1", port=9022, **REGISTRAR)
        async with found.session():
            assert EP == found.eps(H)
            assert [("10.0.1.5:9022", "")] == found.eps(API)
            assert [API, H] == found.sink.hostnames


async def test_what_an_emitter_still_tells_of_an_instance_that_has_gone_is_not_believed() -> None:
    async with both() as found:
        told_by_emitter(found)
        async with found.session():
            found.bbs.remove("i0")
            await found.sees(H, [])
            marker = "marker.sys.example.com"
            found.emitter.register(marker, "10.0.1.6", id="registrar-2", **REGISTRAR)
            await found.sink.until(lambda: marker in found.sink.hostnames)
            assert [] == found.eps(H)
            assert H in found.sink.hostnames


async def test_a_name_may_have_instances_of_diego_and_others() -> None:
    async with both() as found:
        found.emitter.register(H, "10.0.1.5", id="registrar-1", port=9022, **REGISTRAR)
        async with found.session():
            assert sorted([*EP, ("10.0.1.5:9022", "")]) == found.eps(H)
            found.emitter.unregister(H, "10.0.1.5")
            await found.sees(H, EP)


async def test_without_nats_diego_is_followed_and_what_else_was_told_stays() -> None:
    async with both() as found:
        found.emitter.register(API, "10.0.1.5", id="registrar-1", port=9022, **REGISTRAR)
        async with found.session():
            assert [("10.0.1.5:9022", "")] == found.eps(API)
            await found.emitter.close()
            await found.server.process.stop()
            await found.sink.until(lambda: found.sink.problems)
            found.bbs.change("i0", routable=False)
            await found.sees(H, [])
            assert [("10.0.1.5:9022", "")] == found.eps(API)
            await found.server.process.start()
            await found.emitter.connect()
            await found.sink.until(lambda: not found.sink.problems)
            assert [("10.0.1.5:9022", "")] == found.eps(API)


async def test_a_start_without_nats_serves_diego_and_is_not_in_sync() -> None:
    async with both() as found:
        await found.emitter.close()
        await found.server.process.stop()
        async with session(found.adapter, found.sink):
            await found.sees(H, EP)
            assert not found.sink.is_synced
            await found.server.process.start()
            await found.sink.until(lambda: found.sink.is_synced)


def tls_server(authority: Authority) -> NatsServer:
    pair = authority.issue("nats.service.cf.internal")
    tls = {
        "cert_file": str(pair.cert),
        "key_file": str(pair.key),
        "ca_file": str(authority.file),
        "verify": True,
    }
    return NatsServer({"tls": tls})


async def test_nats_is_spoken_to_over_mutual_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    mesh, speaker = authority.issue("mesh"), authority.issue("emitter")
    context = ssl.create_default_context(cafile=authority.file)
    context.load_cert_chain(speaker.cert, speaker.key)
    async with tls_server(authority) as server:
        url = server.url.replace("nats://", "tls://")
        nats = NatsConfig(
            servers=(url,), ca_file=authority.file, cert_file=mesh.cert, key_file=mesh.key
        )
        config = CloudFoundryConfig(nats=nats, settle=Duration(0.3))
        async with (
            RouteEmitter(url, tls=context) as emitter,
            session(CloudFoundry(config, host())) as sink,
        ):
            emitter.register(H, CELL, id="i0")
            await sink.until(lambda: sink.view == {H: [CELL]})


@pytest.mark.parametrize("is_shown", [True, False])
async def test_who_shows_nats_no_certificate_or_a_strangers_hears_nothing(
    tmp_path: Path, is_shown: bool
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = Authority(other).issue("mesh")
    authority = Authority(tmp_path)
    files = {"cert_file": stranger.cert, "key_file": stranger.key} if is_shown else {}
    async with tls_server(authority) as server:
        url = server.url.replace("nats://", "tls://")
        config = CloudFoundryConfig(
            nats=NatsConfig(servers=(url,), ca_file=authority.file, **files)
        )
        with pytest.raises(ExceptionGroup) as caught:
            await CloudFoundry(config, host()).run(RecordingSink())
        assert caught.group_contains((Unavailable, Denied))


async def test_a_nats_that_another_authority_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    authority = Authority(tmp_path)
    mesh = authority.issue("mesh")
    async with tls_server(authority) as server:
        nats = NatsConfig(
            servers=(server.url.replace("nats://", "tls://"),),
            ca_file=Authority(other).file,
            cert_file=mesh.cert,
            key_file=mesh.key,
        )
        with pytest.raises(ExceptionGroup) as caught:
            await CloudFoundry(CloudFoundryConfig(nats=nats), host()).run(RecordingSink())
        assert caught.group_contains(Unavailable, match="CERTIFICATE_VERIFY_FAILED")
