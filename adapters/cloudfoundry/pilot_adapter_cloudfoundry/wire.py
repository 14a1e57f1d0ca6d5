"""Diego's messages on the wire, of which only what a mesh needs is declared.

Everything else (environments, passwords, the actions to run) is not decoded, and a message does
not outlive its reading. Enumerations are read as numbers, and maps as lists of entries, which is
what they are on the wire.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "bbs"
_TYPES = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "uint32": _Field.TYPE_UINT32,
    "bool": _Field.TYPE_BOOL,
}

DECLARED = {
    "Error": "type 1 int32, message 2 string",
    "ModificationTag": "epoch 1 string, index 2 uint32",
    "Entry": "key 1 string, value 2 bytes",
    "Routes": "routes 1 Entry*",
    "MetricTagValue": "static 1 string, dynamic 2 int32",
    "MetricTag": "key 1 string, value 2 MetricTagValue",
    "DesiredLRP": "process_guid 1 string, domain 2 string, instances 4 int32, ports 14 uint32*, "
    "routes 15 Routes, log_guid 17 string, modification_tag 21 ModificationTag, "
    "placement_tags 28 string*, metric_tags 35 MetricTag*",
    "ActualLRPKey": "process_guid 1 string, index 2 int32, domain 3 string",
    "ActualLRPInstanceKey": "instance_guid 1 string, cell_id 2 string",
    "PortMapping": "container_port 1 uint32, host_port 2 uint32, "
    "container_tls_proxy_port 3 uint32, host_tls_proxy_port 4 uint32",
    "ActualLRPNetInfo": "address 1 string, ports 2 PortMapping*, instance_address 3 string, "
    "preferred_address 4 int32",
    "ActualLRP": "key 1 ActualLRPKey, instance_key 2 ActualLRPInstanceKey, "
    "net_info 3 ActualLRPNetInfo, state 6 string, since 8 int64, "
    "modification_tag 9 ModificationTag, presence 10 int32, routable 13 bool, "
    "availability_zone 14 string",
    "ActualLRPInfo": "net_info 3 ActualLRPNetInfo, state 6 string, since 8 int64, "
    "modification_tag 9 ModificationTag, presence 10 int32, routable 11 bool, "
    "availability_zone 12 string",
    "DesiredLRPEvent": "desired_lrp 1 DesiredLRP",
    "DesiredLRPChangedEvent": "before 1 DesiredLRP, after 2 DesiredLRP",
    "ActualLRPInstanceEvent": "actual_lrp 1 ActualLRP",
    "ActualLRPInstanceChangedEvent": "key 1 ActualLRPKey, instance_key 2 ActualLRPInstanceKey, "
    "before 3 ActualLRPInfo, after 4 ActualLRPInfo",
    "ActualLRPsResponse": "error 1 Error, actual_lrps 2 ActualLRP*",
    "DesiredLRPsResponse": "error 1 Error, desired_lrps 2 DesiredLRP*",
    "DomainsResponse": "error 1 Error, domains 2 string*",
    "DesiredLRPsRequest": "domain 1 string, process_guids 2 string*",
}
"""Each message's fields: name, number, type, with a star where it is repeated."""


def _classes() -> dict[str, Any]:
    # Of the second version of the language, in which every field knows whether it has been set.
    file = descriptor_pb2.FileDescriptorProto(
        name="pilot_adapter_cloudfoundry/bbs.proto", package=_PACKAGE, syntax="proto2"
    )
    for name, fields in DECLARED.items():
        added = file.message_type.add(name=name)
        added.field.extend(_field(field) for field in fields.split(", "))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in DECLARED
    }


def _field(text: str) -> descriptor_pb2.FieldDescriptorProto:
    name, number, kind = text.split()
    is_repeated, kind = kind.endswith("*"), kind.rstrip("*")
    made = _Field(name=name, number=int(number))
    made.label = _Field.LABEL_REPEATED if is_repeated else _Field.LABEL_OPTIONAL
    if kind in _TYPES:
        made.type = _TYPES[kind]
    else:
        made.type, made.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    return made


MESSAGES = _classes()
