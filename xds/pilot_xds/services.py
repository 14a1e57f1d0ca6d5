"""The services beside ADS on the same port: CSDS, health and reflection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from pilot_xds.connection import Connection
from pilot_xds.fleet import Fleet
from pilot_xds.protos import (
    POOL,
    AnyMessage,
    ClientConfig,
    ClientStatusRequest,
    ClientStatusResponse,
)
from pilot_xds.status import SHOWN
from pilot_xds.subscription import SyncState
from pilot_xds.types import ResourceType

CSDS = "envoy.service.status.v3.ClientStatusDiscoveryService"
ADS = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_SYNCED, _STALE, _ERROR = 2, 3, 4
"""envoy.service.status.v3.ConfigStatus"""
_STATUS = {
    SyncState.SYNCED: _SYNCED,
    SyncState.SENT: _STALE,
    SyncState.STALE: _STALE,
    SyncState.NACKED: _ERROR,
}
_ACKED, _REFUSED = 3, 4
"""envoy.admin.v3.ClientResourceStatus"""


class HealthService:
    """grpc.health.v1: NOT_SERVING until the fleet is open, and while it drains."""

    def __init__(self) -> None:
        self._servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]
        # grpc_health makes `aio` known at run time only.

    async def register(self, server: aio.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)
        await self.serving(False)

    async def serving(self, is_serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        value = status.SERVING if is_serving else status.NOT_SERVING
        for name in ("", ADS, CSDS):
            await self._servicer.set(name, value)


async def register_reflection(server: aio.Server) -> None:
    """grpc.reflection.v1alpha over our own descriptor pool."""
    names = (ADS, CSDS, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server, pool=POOL)


def client_status(fleet: Fleet) -> Callable[[aio.Server], Awaitable[None]]:
    """Registers CSDS (envoy.service.status.v3): what each client has, and what it refused."""

    async def fetch(request: bytes, context: Any) -> bytes:
        return _answer(fleet, await _wanted(request, context))

    async def stream(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield _answer(fleet, await _wanted(request, context))

    async def register(server: aio.Server) -> None:
        handlers = {
            "FetchClientStatus": grpc.unary_unary_rpc_method_handler(fetch),
            "StreamClientStatus": grpc.stream_stream_rpc_method_handler(stream),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(CSDS, handlers),))

    return register


async def _wanted(request: bytes, context: Any) -> set[str]:
    """The node ids that a request asks for by exact match; empty: everybody."""
    try:
        asked = ClientStatusRequest.FromString(request)
    except DecodeError as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    return {m.node_id.exact for m in asked.node_matchers if m.node_id.exact}


def _answer(fleet: Fleet, wanted: set[str]) -> bytes:
    made = ClientStatusResponse()
    for connection in sorted(fleet.connections, key=lambda c: c.connected_since):
        if connection.proxy and (not wanted or connection.proxy.id in wanted):
            made.config.append(_config(connection, fleet.now()))
    return made.SerializeToString()


def _config(connection: Connection, now: float) -> ClientConfig:
    made = ClientConfig()
    assert connection.proxy is not None
    made.node.id = connection.proxy.id
    for kind in SHOWN:
        status = connection.stream.status(kind, now)
        if status is not None:
            _add(made, connection, kind, status.state, status.error)
    return made


def _add(
    made: ClientConfig, connection: Connection, kind: ResourceType, state: SyncState, error: str
) -> None:
    snapshot = connection.cohort.snapshot if connection.cohort else None
    for resource in snapshot.resources(kind) if snapshot else ():
        if not connection.stream.types[kind].wants(resource.name):
            continue
        shown = made.generic_xds_configs.add()
        shown.type_url, shown.name = kind.url, resource.name
        shown.version_info = resource.version
        shown.xds_config.CopyFrom(AnyMessage.FromString(resource.any))
        shown.config_status = _STATUS[state]
        shown.client_status = _REFUSED if error and resource.name in error else _ACKED
        if shown.client_status == _REFUSED:
            shown.error_state.details = error
