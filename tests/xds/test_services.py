"""The services beside ADS: client status, health, reflection."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from mesh import until
from pilot_xds.ads import SERVICE as ADS
from pilot_xds.protos import ClientStatusRequest, ClientStatusResponse
from pilot_xds.services import messages
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


async def test_health_can_be_watched():
    async with serving() as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=ADS))
        unknown = stub.Watch(health_pb2.HealthCheckRequest(service="nobody"))
        heard = [(await watch.read()).status]
        server.health.serving(True)
        heard.append((await watch.read()).status)
        # What is said again is not told again.
        server.health.serving(True)
        server.health.serving(False)
        heard.append((await watch.read()).status)
        status = health_pb2.HealthCheckResponse
        assert [status.NOT_SERVING, status.SERVING, status.NOT_SERVING] == heard
        assert status.SERVICE_UNKNOWN == (await unknown.read()).status
        watch.cancel()
        unknown.cancel()


async def ask_reflection(address, version, **question):
    method = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    asked = reflection_pb2.ServerReflectionRequest(**question).SerializeToString()
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.stream_stream(method)()
        await call.write(asked)
        answer = reflection_pb2.ServerReflectionResponse.FromString(await call.read())
        await call.done_writing()
        assert grpc.StatusCode.OK is await call.code()
    return answer


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_knows_itself_and_all_of_the_api(version):
    async with serving() as server:
        for symbol in (
            f"grpc.reflection.{version}.ServerReflection",
            "grpc.health.v1.Health",
            "envoy.config.cluster.v3.Cluster",
        ):
            answer = await ask_reflection(server.address, version, file_containing_symbol=symbol)
            files = answer.file_descriptor_response.file_descriptor_proto
            last = symbol.rpartition(".")[2].encode()
            assert any(last in file for file in files)
        name = "envoy/config/core/v3/address.proto"
        answer = await ask_reflection(server.address, version, file_by_filename=name)
        assert name.encode() in answer.file_descriptor_response.file_descriptor_proto[0]


async def test_reflection_finds_extensions_and_says_what_there_is_not():
    options = "google.protobuf.MessageOptions"
    async with serving() as server:
        answer = await ask_reflection(server.address, "v1", all_extension_numbers_of_type=options)
        found = answer.all_extension_numbers_response
        assert (options, True) == (found.base_type_name, len(found.extension_number) > 0)
        asked = reflection_pb2.ExtensionRequest(
            containing_type=options, extension_number=found.extension_number[0]
        )
        answer = await ask_reflection(server.address, "v1", file_containing_extension=asked)
        assert answer.file_descriptor_response.file_descriptor_proto
        for question in (
            {"file_containing_symbol": "no.such.Thing"},
            {"file_by_filename": "no/such.proto"},
            {"all_extension_numbers_of_type": "no.such.Thing"},
            {},
        ):
            answer = await ask_reflection(server.address, "v1", **question)
            assert 5 == answer.error_response.error_code


def test_the_messages_declared_by_hand_are_those_of_grpc():
    pairs = [
        (health_pb2.DESCRIPTOR, messages.HEALTH),
        (reflection_pb2.DESCRIPTOR, messages.REFLECTION_ALPHA),
    ]
    for theirs, package in pairs:
        for name, wanted in theirs.message_types_by_name.items():
            if name in ("HealthListRequest", "HealthListResponse"):
                continue
            ours = messages.POOL.FindMessageTypeByName(f"{package}.{name}")
            assert shape(wanted) == shape(ours)


def shape(message):
    def of(field):
        one_of = field.containing_oneof.name if field.containing_oneof else ""
        return field.name, field.number, field.type, field.is_repeated, one_of

    return [of(field) for field in message.fields]
