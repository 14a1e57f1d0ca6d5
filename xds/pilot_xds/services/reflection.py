"""Server reflection, v1 and v1alpha, which differ in their names alone: what grpcurl asks first.

It speaks of the services that a server has, and of all of Envoy's API that we know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

from pilot_core.rpc import handlers
from pilot_core.rpc.call import Method
from pilot_core.rpc.handlers import Dialogue
from pilot_core.rpc.status import Abort, Code
from pilot_xds.protos import POOL
from pilot_xds.services import messages
from pilot_xds.services.messages import ServerReflectionRequest, ServerReflectionResponse

_SERVICES = tuple(
    f"{package}.ServerReflection" for package in (messages.REFLECTION, messages.REFLECTION_ALPHA)
)
_NOT_FOUND = 5
_POOLS: tuple[Any, ...] = (POOL, messages.POOL)


def methods(others: Mapping[str, Method]) -> dict[str, Method]:
    """Reflection on these methods, and on itself."""
    names = sorted({*(path.split("/")[1] for path in others), *_SERVICES})

    async def info(call: Dialogue) -> None:
        while (request := await call.receive()) is not None:
            await call.send(_answer(request, names))

    served = handlers.stream(info)
    return {f"/{name}/ServerReflectionInfo": served for name in _SERVICES}


def _answer(data: bytes, names: Iterable[str]) -> bytes:
    try:
        asked = ServerReflectionRequest.FromString(data)
    except DecodeError as error:
        raise Abort(Code.INVALID_ARGUMENT, str(error)) from None
    answer: Any = ServerReflectionResponse(original_request=asked, valid_host=asked.host)
    kind = asked.WhichOneof("message_request")
    if kind == "list_services":
        for name in names:
            answer.list_services_response.service.add().name = name
        return _encoded(answer)
    try:
        _QUESTIONS[kind](asked, answer)
    except KeyError:
        answer.error_response.error_code = _NOT_FOUND
        answer.error_response.error_message = "there is none of that name"
    return _encoded(answer)


def _encoded(answer: Any) -> bytes:
    data: bytes = answer.SerializeToString()
    return data


def _file_by_name(asked: Any, answer: Any) -> None:
    _add(answer, _find(lambda pool: pool.FindFileByName(asked.file_by_filename)))


def _file_with_symbol(asked: Any, answer: Any) -> None:
    symbol = asked.file_containing_symbol
    _add(answer, _find(lambda pool: pool.FindFileContainingSymbol(symbol)))


def _file_with_extension(asked: Any, answer: Any) -> None:
    of = asked.file_containing_extension
    found = _find(
        lambda pool: pool.FindExtensionByNumber(
            pool.FindMessageTypeByName(of.containing_type), of.extension_number
        )
    )
    _add(answer, found.file)


def _extensions(asked: Any, answer: Any) -> None:
    name = asked.all_extension_numbers_of_type
    found = _find(lambda pool: pool.FindAllExtensions(pool.FindMessageTypeByName(name)))
    answer.all_extension_numbers_response.base_type_name = name
    numbers = sorted(extension.number for extension in found)
    answer.all_extension_numbers_response.extension_number.extend(numbers)


_QUESTIONS: Mapping[str | None, Callable[[Any, Any], None]] = {
    "file_by_filename": _file_by_name,
    "file_containing_symbol": _file_with_symbol,
    "file_containing_extension": _file_with_extension,
    "all_extension_numbers_of_type": _extensions,
}


def _find(ask: Callable[[Any], Any]) -> Any:
    """What the first pool that knows it says. Raises KeyError."""
    for pool in _POOLS[:-1]:
        try:
            return ask(pool)
        except KeyError:
            continue
    return ask(_POOLS[-1])


def _add(answer: Any, file: Any) -> None:
    """A file, and all that it needs."""
    seen: dict[str, Any] = {}
    left = [file]
    while left:
        found = left.pop()
        if found.name not in seen:
            seen[found.name] = found
            left.extend(found.dependencies)
    for found in seen.values():
        proto = FileDescriptorProto()
        found.CopyToProto(proto)
        data = proto.SerializeToString()
        answer.file_descriptor_response.file_descriptor_proto.append(data)
