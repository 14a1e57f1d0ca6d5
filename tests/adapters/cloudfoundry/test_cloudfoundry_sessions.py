"""Sessions with a real NATS server: what no conformance check asks."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import SlowConsumerError
from pilot_adapter_cloudfoundry import CloudFoundry, feed
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig, NatsConfig
from route_emitter import RouteEmitter, registration

from nats_server import NatsServer
from pilot_core.adapter import Denied, Unavailable
from pilot_core.document import Duration
from pilot_core.testing import FakeClock, RecordingSink
from pilot_core.testing.session import host, session

SECRET = "correct-horse-battery"
LISTENER = {"user": "mesh", "password": SECRET}


def settings(
    server: NatsServer, *, ttl: float = 120, file: Path | None = None
) -> CloudFoundryConfig:
    nats = NatsConfig(servers=(server.url,), credentials_file=file)
    return CloudFoundryConfig(nats=nats, settle=Duration(0.3), ttl=Duration(ttl))


async def test_nothing_is_put_before_everybody_could_repeat_themselves() -> None:
    async with NatsServer() as server, RouteEmitter(server.url) as emitter:
        emitter.register("a.example.com", "10.0.0.1", id="i0")
        async with session(CloudFoundry(settings(server), host())) as sink:
            await sink.until(lambda: sink.is_synced)
            assert {"a.example.com": ["10.0.0.1"]} == sink.synced_with


async def test_what_nobody_repeats_ends() -> None:
    async with NatsServer() as server, RouteEmitter(server.url) as emitter:
        emitter.register("a.example.com", "10.0.0.1", id="i0")
        emitter.register("b.example.com", "10.0.0.2", id="i1")
        async with session(CloudFoundry(settings(server, ttl=2), host())) as sink:
            await sink.until(lambda: len(sink.view) == 2)
            del emitter.there["b.example.com", "10.0.0.2"]
            await sink.until(lambda: sink.view == {"a.example.com": ["10.0.0.1"]})


async def test_an_internal_route_is_followed() -> None:
    said = {"uris": ["a.apps.internal"], "host": "10.255.0.4", "port": 0, "app": "a"}
    async with (
        NatsServer() as server,
        RouteEmitter(server.url) as emitter,
        session(CloudFoundry(settings(server), host())) as sink,
    ):
        await sink.until(lambda: sink.is_synced)
        await emitter.publish("service-discovery.register", said)
        await sink.until(lambda: sink.view == {"a.apps.internal": ["10.255.0.4"]})
        await emitter.publish("service-discovery.unregister", said)
        await sink.until(lambda: sink.view == {})


async def test_a_message_that_is_no_json_harms_nothing() -> None:
    async with (
        NatsServer() as server,
        RouteEmitter(server.url) as emitter,
        session(CloudFoundry(settings(server), host())) as sink,
    ):
        await sink.until(lambda: sink.is_synced)
        await emitter.publish("router.register", b"{")
        await emitter.publish("router.surprise", b"?")
        await emitter.publish("router.register", registration("a.example.com", "::1", id="i"))
        await sink.until(lambda: sink.view == {"a.example.com": ["::1"]})


async def test_wrong_credentials_are_denied_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "nats.secret"
    file.write_text(f"mesh:{SECRET}-not\n")
    async with NatsServer({"authorization": {"users": [LISTENER]}}) as server:
        with pytest.raises(ExceptionGroup) as caught:
            await CloudFoundry(settings(server, file=file), host()).run(RecordingSink())
    assert caught.group_contains(Denied, match="refuses these credentials")
    assert SECRET not in str(caught.value.exceptions) + caplog.text


async def test_who_may_listen_only_needs_no_right_to_greet(tmp_path: Path) -> None:
    file = tmp_path / "nats.secret"
    file.write_text(f"mesh:{SECRET}\n")
    reader = {**LISTENER, "permissions": {"publish": {"deny": ">"}, "subscribe": ">"}}
    emitter_user = {"user": "emitter", "password": "e"}
    users = {"authorization": {"users": [reader, emitter_user]}}
    async with NatsServer(users) as server:
        url = server.url.replace("nats://", "nats://emitter:e@")
        async with RouteEmitter(url) as emitter:
            emitter.register("a.example.com", "10.0.0.1", id="i0")
            adapter = CloudFoundry(settings(server, file=file), host())
            async with session(adapter) as sink:
                await sink.until(lambda: sink.view == {"a.example.com": ["10.0.0.1"]})


async def test_who_may_not_listen_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "nats.secret"
    file.write_text(f"mesh:{SECRET}\n")
    mute = {**LISTENER, "permissions": {"subscribe": {"deny": "router.*"}}}
    async with NatsServer({"authorization": {"users": [mute]}}) as server:
        adapter = CloudFoundry(settings(server, file=file), host())
        with pytest.raises(ExceptionGroup) as caught:
            await adapter.run(RecordingSink())
    assert caught.group_contains(Denied, match="lets us not subscribe")


async def test_a_credentials_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "nats.secret"
    async with NatsServer() as server:
        config = settings(server, file=file)
        adapter = CloudFoundry(config, host())
        with pytest.raises(ExceptionGroup) as caught:
            await adapter.run(RecordingSink())
        assert caught.group_contains(Unavailable, match=r"nats\.secret cannot be read")
        assert [f"there is no file {file}"] == [f.message for f in CloudFoundry.check(config)]


async def test_the_next_server_is_asked_where_one_does_not_answer() -> None:
    async with NatsServer() as gone:
        pass
    async with NatsServer() as server, RouteEmitter(server.url) as emitter:
        emitter.register("a.example.com", "10.0.0.1", id="i0")
        nats = NatsConfig(servers=(gone.url, server.url))
        config = CloudFoundryConfig(nats=nats, settle=Duration(0.3))
        async with session(CloudFoundry(config, host())) as sink:
            await sink.until(lambda: sink.view == {"a.example.com": ["10.0.0.1"]})
            emitter.unregister("a.example.com", "10.0.0.1")
            await sink.until(lambda: sink.view == {})


async def synced(sink: RecordingSink, clock: FakeClock, server: NatsServer) -> None:
    """Let time pass until the session has listened long enough."""
    while not sink.is_synced:
        await clock.advance(0.1)
        await server.turn()


async def until_nats_goes(
    adapter: CloudFoundry, sink: RecordingSink, clock: FakeClock, server: NatsServer
) -> None:
    """A session with one route, which ends when the server does."""
    async with RouteEmitter(server.url) as emitter, session(adapter, sink):
        emitter.register("a.example.com", "10.0.0.1", id="i0")
        await synced(sink, clock, server)
        await sink.until(lambda: sink.view)
        await emitter.close()
        await server.process.stop()
        await sink.until(lambda: False)


async def test_nothing_ends_while_nats_is_away_and_for_a_lifetime_after() -> None:
    clock = FakeClock()
    async with NatsServer() as server:
        adapter = CloudFoundry(settings(server), host(clock))
        sink = RecordingSink()
        with pytest.raises(ExceptionGroup) as caught:
            await until_nats_goes(adapter, sink, clock, server)
        assert caught.group_contains(Unavailable)
        sink.next_session()
        await clock.advance(600)
        await server.process.start()
        async with session(adapter, sink):
            await synced(sink, clock, server)
            await clock.advance(110)
            assert {"a.example.com": ["10.0.0.1"]} == sink.view
            await clock.advance(20)
            await sink.until(lambda: sink.view == {})


async def test_it_says_nothing_but_greetings_and_answers_none() -> None:
    heard: list[str] = []
    async with NatsServer() as server:
        client = await nats.connect(server.url, allow_reconnect=False)

        async def note(message: Msg) -> None:
            heard.append(message.subject)

        await client.subscribe("router.*", cb=note)
        await client.subscribe("service-discovery.*", cb=note)
        await client.flush()
        async with session(CloudFoundry(settings(server), host())) as sink:
            await sink.until(lambda: sink.is_synced)
            with pytest.raises(nats.errors.Error):
                await client.request("router.greet", b"", timeout=0.3)
        await client.close()
    assert {"router.greet", "service-discovery.greet"} == set(heard)


async def test_messages_that_were_lost_end_the_session() -> None:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    client = Client()
    await feed._Errors(ended).told(SlowConsumerError("router.*", "", 1, None))
    with pytest.raises(Unavailable, match="they come faster than we read"):
        await feed.Feed(client, ended).lost()


async def test_odd_messages_are_taken_or_dropped_one_by_one() -> None:
    odd = registration("odd.example.com", "10.0.0.7", id="o")
    async with (
        NatsServer() as server,
        RouteEmitter(server.url) as emitter,
        session(CloudFoundry(settings(server), host())) as sink,
    ):
        await sink.until(lambda: sink.is_synced)
        plain = {**odd, "private_instance_index": 3, "tags": None, "uris": ["odd.example.com"]}
        guarded = {**odd, "uris": ["b.example.com"], "route_service_url": "http://auth.example.com"}
        await emitter.publish("router.register", b"[]")
        await emitter.publish("router.register", guarded)
        await emitter.publish("router.register", plain)
        await sink.until(lambda: sink.view.get("odd.example.com") == ["10.0.0.7"])
        assert [] == sink.addresses("b.example.com")
