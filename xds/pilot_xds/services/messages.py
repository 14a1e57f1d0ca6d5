"""The messages of grpc.health.v1 and grpc.reflection.v1, declared by hand.

They are a few dozen fields that will not change, and gRPC's own packages for them bring all of gRPC
along. Descriptions of their services are in the pool as well: reflection speaks of itself, too.

Sources: grpc/grpc-proto grpc/health/v1/health.proto, grpc/reflection/v1/reflection.proto.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

HEALTH, REFLECTION = "grpc.health.v1", "grpc.reflection.v1"
REFLECTION_ALPHA = "grpc.reflection.v1alpha"
_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {"string": _Field.TYPE_STRING, "bytes": _Field.TYPE_BYTES, "int32": _Field.TYPE_INT32}
_MESSAGES = {
    "HealthCheckRequest": "service 1 string",
    "HealthCheckResponse": "status 1 ServingStatus",
}
_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_REFLECTION_MESSAGES = {
    "ServerReflectionRequest": "host 1 string, file_by_filename 3 string|, "
    "file_containing_symbol 4 string|, file_containing_extension 5 ExtensionRequest|, "
    "all_extension_numbers_of_type 6 string|, list_services 7 string|",
    "ExtensionRequest": "containing_type 1 string, extension_number 2 int32",
    "ServerReflectionResponse": "valid_host 1 string, original_request 2 ServerReflectionRequest, "
    "file_descriptor_response 4 FileDescriptorResponse|, "
    "all_extension_numbers_response 5 ExtensionNumberResponse|, "
    "list_services_response 6 ListServiceResponse|, error_response 7 ErrorResponse|",
    "FileDescriptorResponse": "file_descriptor_proto 1 bytes*",
    "ExtensionNumberResponse": "base_type_name 1 string, extension_number 2 int32*",
    "ListServiceResponse": "service 1 ServiceResponse*",
    "ServiceResponse": "name 1 string",
    "ErrorResponse": "error_code 1 int32, error_message 2 string",
}
"""Each message's fields: name, number, type; a star where it is repeated, a bar where it is one of
several of which there is one."""
_ONE_OF = {
    "ServerReflectionRequest": "message_request",
    "ServerReflectionResponse": "message_response",
}


def _file(package: str, messages: dict[str, str]) -> descriptor_pb2.FileDescriptorProto:
    path = package.replace(".", "/")
    name = f"{path}/{package.split('.')[1]}.proto"
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    for message, fields in messages.items():
        added = file.message_type.add(name=message)
        if message in _ONE_OF:
            added.oneof_decl.add(name=_ONE_OF[message])
        added.field.extend(_field(package, field) for field in fields.split(", "))
    return file


def _field(package: str, text: str) -> descriptor_pb2.FieldDescriptorProto:
    name, number, type = text.split()
    made = _Field(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if type.endswith("*"):
        made.label = _Field.LABEL_REPEATED
    if type.endswith("|"):
        made.oneof_index = 0
    type = type.rstrip("*|")
    if type in _TYPES:
        made.type = _TYPES[type]
    elif type == "ServingStatus":
        made.type, made.type_name = _Field.TYPE_ENUM, f".{package}.HealthCheckResponse.{type}"
    else:
        made.type, made.type_name = _Field.TYPE_MESSAGE, f".{package}.{type}"
    return made


def _health() -> bytes:
    file = _file(HEALTH, _MESSAGES)
    statuses = file.message_type[1].enum_type.add(name="ServingStatus")
    for number, name in enumerate(_STATUSES):
        statuses.value.add(name=name, number=number)
    service = file.service.add(name="Health")
    for method in ("Check", "Watch"):
        service.method.add(
            name=method,
            input_type=f".{HEALTH}.HealthCheckRequest",
            output_type=f".{HEALTH}.HealthCheckResponse",
            server_streaming=method == "Watch",
        )
    return file.SerializeToString()


def _reflection(package: str) -> bytes:
    file = _file(package, _REFLECTION_MESSAGES)
    file.service.add(name="ServerReflection").method.add(
        name="ServerReflectionInfo",
        input_type=f".{package}.ServerReflectionRequest",
        output_type=f".{package}.ServerReflectionResponse",
        client_streaming=True,
        server_streaming=True,
    )
    return file.SerializeToString()


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in (_health(), _reflection(REFLECTION), _reflection(REFLECTION_ALPHA)):
        pool.AddSerializedFile(file)
    return pool


POOL = _pool()


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))


HealthCheckRequest = _message(f"{HEALTH}.HealthCheckRequest")
HealthCheckResponse = _message(f"{HEALTH}.HealthCheckResponse")
ServerReflectionRequest = _message(f"{REFLECTION}.ServerReflectionRequest")
ServerReflectionResponse = _message(f"{REFLECTION}.ServerReflectionResponse")
