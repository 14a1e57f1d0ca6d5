"""CSDS (envoy.service.status.v3): what each client has, and what it has refused."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from pilot_core.rpc import handlers
from pilot_core.rpc.call import Method
from pilot_core.rpc.handlers import Dialogue
from pilot_core.rpc.status import Abort, Code
from pilot_xds.connection import Connection
from pilot_xds.fleet import Fleet
from pilot_xds.protos import AnyMessage, ClientConfig, ClientStatusRequest, ClientStatusResponse
from pilot_xds.status import SHOWN
from pilot_xds.subscription import SyncState
from pilot_xds.types import ResourceType

SERVICE = "envoy.service.status.v3.ClientStatusDiscoveryService"
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


def methods(fleet: Fleet) -> dict[str, Method]:
    async def fetch(request: bytes, _call: Dialogue) -> bytes:
        return _answer(fleet, _wanted(request))

    async def stream(call: Dialogue) -> None:
        while (request := await call.receive()) is not None:
            await call.send(_answer(fleet, _wanted(request)))

    return {
        f"/{SERVICE}/FetchClientStatus": handlers.unary(fetch),
        f"/{SERVICE}/StreamClientStatus": handlers.stream(stream),
    }


def _wanted(request: bytes) -> set[str]:
    """The node ids that a request asks for by exact match; empty: everybody. Raises Abort."""
    try:
        asked = ClientStatusRequest.FromString(request)
    except DecodeError as error:
        raise Abort(Code.INVALID_ARGUMENT, str(error)) from None
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
