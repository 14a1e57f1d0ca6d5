"""The services beside ADS: client status, health, reflection."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from mesh import until
from pilot_xds.ads import SERVICE as ADS
from pilot_xds.protos import ClientStatusRequest, ClientStatusResponse
from pilot_xds.services.csds import SERVICE as CSDS
from xds_messages import CDS, EDS
from xds_server import Client, serving

A = "outbound|80||a.shop.mesh"
SYNCED, STALE, ERROR = 2, 3, 4
ACKED, NACKED = 3, 4


def there(value):
    async def look():
        return value()

    return look


async def client_status(address, *ids):
    asked = ClientStatusRequest()
    for id in ids:
        asked.node_matchers.add().node_id.exact = id
    async with grpc.aio.insecure_channel(address) as channel:
        data = await channel.unary_unary(f"/{CSDS}/FetchClientStatus")(asked.SerializeToString())
    return ClientStatusResponse.FromString(data).config


async def test_client_status_says_what_each_client_has():
    async with serving(None, "a.shop.mesh") as server, Client(server.address) as me:
        await me.ask(CDS, id="me")
        said = await me.hear()
        (config,) = await client_status(server.address)
        shown = {c.name: c for c in config.generic_xds_configs}
        assert ("me", set(said.names)) == (config.node.id, set(shown))
        assert {STALE} == {c.config_status for c in shown.values()}
        await me.answer(said)
        (connection,) = server.fleet.connections
        await until(there(connection.stream.has_everything), "the acknowledgement")
        (config,) = await client_status(server.address)
        assert {(SYNCED, ACKED)} == {
            (c.config_status, c.client_status) for c in config.generic_xds_configs
        }
        assert dict(said.versions) == {c.name: c.version_info for c in config.generic_xds_configs}
        assert {CDS.url} == {c.xds_config.type_url for c in config.generic_xds_configs}


async def test_client_status_shows_named_resources_only_where_they_are_wanted():
    both = ("a.shop.mesh", "b.shop.mesh")
    async with serving(None, *both) as server, Client(server.address) as me:
        await me.ask(EDS, A, id="me")
        await me.hear()
        (config,) = await client_status(server.address)
        assert [(EDS.url, A)] == [(c.type_url, c.name) for c in config.generic_xds_configs]


async def test_client_status_shows_what_was_refused_and_why():
    both = ("a.shop.mesh", "b.shop.mesh")
    async with serving(None, *both) as server, Client(server.address) as me:
        await me.ask(CDS, id="me")
        await me.answer(await me.hear(), error=f"cannot take {A}")
        await until(there(server.nacks), "the refusal")
        (config,) = await client_status(server.address)
        refused = [c for c in config.generic_xds_configs if c.client_status == NACKED]
        assert [(A, ERROR, f"cannot take {A}")] == [
            (c.name, c.config_status, c.error_state.details) for c in refused
        ]


async def test_client_status_can_be_asked_for_one_client():
    async with (
        serving(None, "a.shop.mesh") as server,
        Client(server.address) as one,
        Client(server.address) as other,
    ):
        for client, id in ((one, "one"), (other, "other")):
            await client.ask(CDS, id=id)
            await client.hear()
        assert ["one", "other"] == [c.node.id for c in await client_status(server.address)]
        assert ["other"] == [c.node.id for c in await client_status(server.address, "other")]
        assert [] == list(await client_status(server.address, "nobody"))


async def test_client_status_can_be_streamed():
    async with serving(None, "a.shop.mesh") as server, Client(server.address) as me:
        await me.ask(CDS, id="me")
        await me.hear()
        async with grpc.aio.insecure_channel(server.address) as channel:
            call = channel.stream_stream(f"/{CSDS}/StreamClientStatus")()
            for _ in range(2):
                await call.write(ClientStatusRequest().SerializeToString())
                (config,) = ClientStatusResponse.FromString(await call.read()).config
                assert "me" == config.node.id
            await call.done_writing()


async def test_a_status_request_that_is_none_is_an_invalid_argument():
    async with serving() as server, grpc.aio.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.RpcError) as raised:
            await channel.unary_unary(f"/{CSDS}/FetchClientStatus")(b"\xff\xff")
        assert grpc.StatusCode.INVALID_ARGUMENT is raised.value.code()


async def test_health_follows_what_the_daemon_says():
    async with serving() as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        serving_now = []
        for is_serving in (False, True, False):
            server.health.serving(is_serving)
            for name in ("", ADS, CSDS):
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
                serving_now.append(answer.status == answer.SERVING)
        assert [False] * 3 + [True] * 3 + [False] * 3 == serving_now
        with pytest.raises(grpc.RpcError) as raised:
            await stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
        assert grpc.StatusCode.NOT_FOUND is raised.value.code()


async def test_reflection_names_the_services_and_describes_them():
    async with serving() as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=ADS),
        ]
        answers = [answer async for answer in stub.ServerReflectionInfo(iter(asked))]
        listed = {s.name for s in answers[0].list_services_response.service}
        assert {ADS, CSDS} <= listed
        files = answers[1].file_descriptor_response.file_descriptor_proto
        assert any(b"AggregatedDiscoveryService" in file for file in files)
