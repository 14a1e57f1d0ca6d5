"""grpc.health.v1: NOT_SERVING until the fleet is open, and while it drains."""

from __future__ import annotations

import asyncio

from google.protobuf.message import DecodeError

from pilot_core.rpc import handlers
from pilot_core.rpc.call import Method
from pilot_core.rpc.handlers import Dialogue
from pilot_core.rpc.status import Abort, Code
from pilot_xds import ads
from pilot_xds.services import csds
from pilot_xds.services.messages import HEALTH, HealthCheckRequest, HealthCheckResponse

SERVICE = f"{HEALTH}.Health"
_NAMES = ("", ads.SERVICE, csds.SERVICE)
"""Services whose health is known; the empty name is the server's own."""


class HealthService:
    """One answer for all services: they serve the same fleet."""

    def __init__(self) -> None:
        self._status = HealthCheckResponse.NOT_SERVING
        self._change = asyncio.Event()

    def serving(self, is_serving: bool) -> None:
        known = HealthCheckResponse
        self._status = known.SERVING if is_serving else known.NOT_SERVING
        self._change.set()
        self._change = asyncio.Event()

    def methods(self) -> dict[str, Method]:
        return {
            f"/{SERVICE}/Check": handlers.unary(self._check),
            f"/{SERVICE}/Watch": handlers.stream(self._watch),
        }

    async def _check(self, request: bytes, _call: Dialogue) -> bytes:
        name = _name(request)
        if name not in _NAMES:
            raise Abort(Code.NOT_FOUND, f"no service {name!r:.200}")
        return _response(self._status)

    async def _watch(self, call: Dialogue) -> None:
        name = _name(await call.receive() or b"")
        if name not in _NAMES:
            await call.send(_response(HealthCheckResponse.SERVICE_UNKNOWN))
        said = None
        while True:
            change, status = self._change, self._status
            if name in _NAMES and status != said:
                await call.send(_response(status))
                said = status
            await change.wait()


def _name(request: bytes) -> str:
    try:
        name: str = HealthCheckRequest.FromString(request).service
    except DecodeError as error:
        raise Abort(Code.INVALID_ARGUMENT, str(error)) from None
    return name


def _response(status: int) -> bytes:
    data: bytes = HealthCheckResponse(status=status).SerializeToString()
    return data
