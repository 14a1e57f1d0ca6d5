"""The messages that go over the wire here, declared by hand in a descriptor pool of their own.

Istio's certificate service has two messages. To ship a compiler's output for them, or to reach
into another package's copy of a whole API, would be more than it is. Fields that are not named
here are carried and ignored, as protobuf does with every field of a later version.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

ISTIO = "istio.v1.auth"
_TYPES = {
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
}
_MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
_ONE = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
_MANY = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
_STRUCT = ".google.protobuf.Struct"


def _file() -> descriptor_pb2.FileDescriptorProto:
    made = descriptor_pb2.FileDescriptorProto(
        name="pilot_certs/istio_ca.proto",
        package=ISTIO,
        syntax="proto3",
        dependency=[struct_pb2.DESCRIPTOR.name],
    )
    request = made.message_type.add(name="IstioCertificateRequest")
    _field(request, "csr", 1, "string")
    _field(request, "validity_duration", 3, "int64")
    _field(request, "metadata", 4, _STRUCT)
    response = made.message_type.add(name="IstioCertificateResponse")
    _field(response, "cert_chain", 1, "string", label=_MANY)
    return made


def _field(
    made: descriptor_pb2.DescriptorProto,
    name: str,
    number: int,
    type: str,
    *,
    label: descriptor_pb2.FieldDescriptorProto.Label.ValueType = _ONE,
) -> None:
    added = made.field.add(name=name, number=number, label=label, type=_TYPES.get(type, _MESSAGE))
    if type not in _TYPES:
        added.type_name = type


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in (struct_pb2.DESCRIPTOR.serialized_pb, _file().SerializeToString()):
        pool.AddSerializedFile(file)
    return pool


_POOL = _pool()


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{ISTIO}.{name}"))


CertificateRequest = _message("IstioCertificateRequest")
CertificateResponse = _message("IstioCertificateResponse")
