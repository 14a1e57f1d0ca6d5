"""The messages that go over the wire here, declared by hand in a descriptor pool of their own.

Istio's certificate service, our own for agents, the SPIFFE Workload API, and of Envoy's API what an
SDS server needs: together fewer fields than this page has lines. To ship a compiler's output for
them, or to reach into another package's copy of a whole API, would be more than it is. Fields that
are not named here are carried and ignored, as protobuf does with those of a later version.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, struct_pb2

ISTIO = "istio.v1.auth"
OWN = "pilot.identity.v1"
DISCOVERY = "envoy.service.discovery.v3"
TLS = "envoy.extensions.transport_sockets.tls.v3"
SECRET = f"{TLS}.Secret"
_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
}
_ANY, _STRUCT = "google.protobuf.Any", "google.protobuf.Struct"

DECLARED: dict[str, dict[str, str]] = {
    ISTIO: {
        "IstioCertificateRequest": f"csr 1 string, validity_duration 3 int64, metadata 4 {_STRUCT}",
        "IstioCertificateResponse": "cert_chain 1 string*",
    },
    OWN: {
        "Wanted": "spiffe_id 1 string, csr 2 bytes, seconds 3 int64",
        "Certificate": "spiffe_id 1 string, chain 2 bytes*, signer 3 string",
        "AttestRequest": f"kind 1 string, payload 2 bytes, answer 3 bytes, wanted 4 {OWN}.Wanted*",
        "AttestResponse": "challenge 1 bytes, identities 2 string*, "
        f"certificates 3 {OWN}.Certificate*, roots 4 bytes*",
        "RenewRequest": f"wanted 1 {OWN}.Wanted*",
        "RenewResponse": f"certificates 1 {OWN}.Certificate*, roots 2 bytes*",
        "FollowRequest": "roots 1 string*, signers 2 string*, identities 3 string*",
        "FollowResponse": "sequence 1 int64, roots 2 bytes*, tainted 3 string*, "
        f"jwt_keys 4 {OWN}.JwtKey*",
        "JwtKey": "kid 1 string, spki 2 bytes",
        "MintRequest": "audiences 1 string*",
        "MintResponse": "token 1 string, not_after 2 int64",
    },
    "": {
        "X509SVIDResponse": "svids 1 X509SVID*, crl 2 bytes*, federated_bundles 3 BundleEntry*",
        "X509SVID": "spiffe_id 1 string, x509_svid 2 bytes, x509_svid_key 3 bytes, bundle 4 bytes",
        "X509BundlesResponse": "crl 1 bytes*, bundles 2 BundleEntry*",
        "JWTSVIDRequest": "audience 1 string*, spiffe_id 2 string",
        "JWTSVIDResponse": "svids 1 JWTSVID*",
        "JWTSVID": "spiffe_id 1 string, svid 2 string",
        "JWTBundlesResponse": "bundles 1 BundleEntry*",
        "ValidateJWTSVIDRequest": "audience 1 string, svid 2 string",
        "ValidateJWTSVIDResponse": f"spiffe_id 1 string, claims 2 {_STRUCT}",
        # What a map<string, bytes> is on the wire.
        "BundleEntry": "key 1 string, value 2 bytes",
    },
    "google.rpc": {"Status": "code 1 int32, message 2 string"},
    "envoy.config.core.v3": {
        "DataSource": "inline_bytes 2 bytes",
        "Node": f"id 1 string, metadata 3 {_STRUCT}",
    },
    TLS: {
        "Secret": f"name 1 string, tls_certificate 2 {TLS}.TlsCertificate, "
        f"validation_context 4 {TLS}.CertificateValidationContext",
        "TlsCertificate": "certificate_chain 1 envoy.config.core.v3.DataSource, "
        "private_key 2 envoy.config.core.v3.DataSource",
        "CertificateValidationContext": "trusted_ca 1 envoy.config.core.v3.DataSource",
    },
    DISCOVERY: {
        "DiscoveryRequest": "version_info 1 string, node 2 envoy.config.core.v3.Node, "
        "resource_names 3 string*, type_url 4 string, response_nonce 5 string, "
        "error_detail 6 google.rpc.Status",
        "DiscoveryResponse": f"version_info 1 string, resources 2 {_ANY}*, type_url 4 string, "
        "nonce 5 string",
        "DeltaDiscoveryRequest": "node 1 envoy.config.core.v3.Node, type_url 2 string, "
        "resource_names_subscribe 3 string*, "
        "resource_names_unsubscribe 4 string*, response_nonce 6 string, "
        "error_detail 7 google.rpc.Status",
        "DeltaDiscoveryResponse": f"resources 2 {DISCOVERY}.Resource*, type_url 4 string, "
        "nonce 5 string",
        "Resource": f"version 1 string, resource 2 {_ANY}, name 3 string",
    },
}
"""Per package, each message's fields: name, number, type, with a star where it is repeated."""


def _files() -> list[bytes]:
    """Serialized descriptors, each package after those that it uses."""
    made = [any_pb2.DESCRIPTOR.serialized_pb, struct_pb2.DESCRIPTOR.serialized_pb]
    names = [any_pb2.DESCRIPTOR.name, struct_pb2.DESCRIPTOR.name]
    for package, messages in DECLARED.items():
        name = f"pilot_certs/{package or 'workload'}.proto"
        file = descriptor_pb2.FileDescriptorProto(
            name=name, package=package, syntax="proto3", dependency=names
        )
        for message, fields in messages.items():
            added = file.message_type.add(name=message)
            added.field.extend(_field(field) for field in fields.split(", "))
        made.append(file.SerializeToString())
        names = [*names, name]
    return made


def _field(text: str) -> descriptor_pb2.FieldDescriptorProto:
    name, number, type = text.split()
    label = _Field.LABEL_REPEATED if type.endswith("*") else _Field.LABEL_OPTIONAL
    type = type.rstrip("*")
    if type in _TYPES:
        return _Field(name=name, number=int(number), label=label, type=_TYPES[type])
    of = "." + type
    kind = _Field.TYPE_MESSAGE
    return _Field(name=name, number=int(number), label=label, type=kind, type_name=of)


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in _files():
        pool.AddSerializedFile(file)
    return pool


POOL = _pool()


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))


CertificateRequest = _message(f"{ISTIO}.IstioCertificateRequest")
CertificateResponse = _message(f"{ISTIO}.IstioCertificateResponse")
Wanted = _message(f"{OWN}.Wanted")
AttestRequest = _message(f"{OWN}.AttestRequest")
AttestResponse = _message(f"{OWN}.AttestResponse")
RenewRequest = _message(f"{OWN}.RenewRequest")
RenewResponse = _message(f"{OWN}.RenewResponse")
FollowRequest = _message(f"{OWN}.FollowRequest")
FollowResponse = _message(f"{OWN}.FollowResponse")
MintRequest = _message(f"{OWN}.MintRequest")
MintResponse = _message(f"{OWN}.MintResponse")
JwtRequest = _message("JWTSVIDRequest")
JwtResponse = _message("JWTSVIDResponse")
JwtBundlesResponse = _message("JWTBundlesResponse")
ValidateRequest = _message("ValidateJWTSVIDRequest")
ValidateResponse = _message("ValidateJWTSVIDResponse")
SvidResponse = _message("X509SVIDResponse")
BundlesResponse = _message("X509BundlesResponse")
Secret = _message(SECRET)
DiscoveryRequest = _message(f"{DISCOVERY}.DiscoveryRequest")
DiscoveryResponse = _message(f"{DISCOVERY}.DiscoveryResponse")
DeltaDiscoveryRequest = _message(f"{DISCOVERY}.DeltaDiscoveryRequest")
DeltaDiscoveryResponse = _message(f"{DISCOVERY}.DeltaDiscoveryResponse")
