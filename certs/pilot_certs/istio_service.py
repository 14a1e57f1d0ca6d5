"""Istio's certificate service: `istio.v1.auth.IstioCertificateService`.

Rule 1: who asks hears an opaque sentence; the reason is in the audit log and in the counts.
Rule 2: a refusal that lasts is never a code at which clients try again.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from pilot_certs import spiffe
from pilot_certs.authority import Issued
from pilot_certs.caller import Call
from pilot_certs.exchange import Exchange, Methods
from pilot_certs.issuing import Issuing, Request
from pilot_certs.messages import ISTIO, CertificateRequest, CertificateResponse
from pilot_certs.refusal import InvalidRequest

SERVICE = f"{ISTIO}.IstioCertificateService"
_IMPERSONATED = "ImpersonatedIdentity"


def methods(issuing: Issuing) -> Methods:
    """The service, for any transport."""

    async def create(exchange: Exchange) -> None:
        call = exchange.call
        request = _request(await exchange.receive() or b"", call, issuing)
        await exchange.send(response(await issuing.issue(request, call)))

    return {f"/{SERVICE}/CreateCertificate": create}


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
