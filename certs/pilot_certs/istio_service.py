"""Istio's certificate service over grpc.aio: `istio.v1.auth.IstioCertificateService`.

Rule 1: who asks hears an opaque sentence; the reason is in the audit log and in the counts.
Rule 2: a refusal that lasts is never a code at which clients try again.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from pilot_certs import spiffe
from pilot_certs.authority import Issued
from pilot_certs.caller import Call
from pilot_certs.exchange import Exchange, Methods, bearer
from pilot_certs.issuing import Issuing, Request
from pilot_certs.messages import ISTIO, CertificateRequest, CertificateResponse
from pilot_certs.refusal import InvalidRequest, Refused

SERVICE = f"{ISTIO}.IstioCertificateService"
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_concurrent_streams", 100),
    ("grpc.max_receive_message_length", 64 << 10),
    ("grpc.max_metadata_size", 16 << 10),
    ("grpc.absolute_max_metadata_size", 24 << 10),
    ("grpc.server_handshake_timeout_ms", 3_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),
]
"""What a server that strangers reach has to be started with: without a limit of streams, one
connection that opens and resets them keeps everybody else waiting."""
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_IMPERSONATED = "ImpersonatedIdentity"


def methods(issuing: Issuing) -> Methods:
    """The service, for any transport."""

    async def create(exchange: Exchange) -> None:
        call = exchange.call
        request = _request(await exchange.receive() or b"", call, issuing)
        await exchange.send(response(await issuing.issue(request, call)))

    return {f"/{SERVICE}/CreateCertificate": create}


def register(server: aio.Server, issuing: Issuing) -> None:
    """Add the service to a server, which has not started yet."""

    async def create(data: bytes, context: Any) -> bytes:
        call = _call(context)
        try:
            issued = await issuing.issue(_request(data, call, issuing), call)
        except Refused as refused:
            await context.abort(_CODES[refused.code], refused.opaque)
        return response(issued)

    handlers = {"CreateCertificate": grpc.unary_unary_rpc_method_handler(create)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def response(issued: Issued) -> bytes:
    """One certificate per element, and all the roots together in the last one: clients split
    that one themselves, and lose roots that come in elements of their own."""
    made = CertificateResponse(cert_chain=[*issued.chain, "".join(issued.roots)])
    data: bytes = made.SerializeToString()
    return data


def _request(data: bytes, call: Call, issuing: Issuing) -> Request:
    try:
        return decoded(data)
    except InvalidRequest as refused:
        issuing.refused(refused, call)
        raise


def decoded(data: bytes) -> Request:
    """What a message asks for. Raises InvalidRequest."""
    try:
        asked = CertificateRequest.FromString(data)
    except DecodeError as error:
        raise InvalidRequest("message", str(error)) from None
    fields = asked.metadata.fields
    wanted = fields[_IMPERSONATED].string_value if _IMPERSONATED in fields else ""
    return Request(
        csr=asked.csr.encode(),
        seconds=asked.validity_duration,
        wanted=spiffe.parse(wanted) if wanted else None,
    )


def _call(context: Any) -> Call:
    said = next((v for k, v in context.invocation_metadata() if k == "authorization"), "")
    text = said if isinstance(said, str) else ""
    known = context.auth_context()
    own = known.get("x509_pem_cert", ())
    chain = known.get("x509_pem_cert_chain", ())
    return Call(
        peer=_address(context.peer()),
        token=bearer(text),
        certificates=_certificates(own, chain),
    )


def _certificates(own: Any, chain: Any) -> tuple[str, ...]:
    """What gRPC says of the peer: its own certificate, or the chain with it in one text."""
    whole = b"".join(chain or own).decode("ascii", "replace")
    end = "-----END CERTIFICATE-----\n"
    return tuple(part + end for part in whole.split(end) if part.strip())


def _address(peer: str) -> str:
    """`ipv4:10.0.0.1:4711` without the port, which changes with every connection."""
    kind, _, rest = peer.partition(":")
    return rest.rpartition(":")[0] if kind in ("ipv4", "ipv6") else peer
