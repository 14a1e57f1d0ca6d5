"""What an API server asks before it takes an object: answered like `pilot-core check`.

kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers, v1.
"""

from __future__ import annotations

import msgspec

from pilot_adapter_kubernetes import facts, wire
from pilot_core.dialects import objects

_INVALID = 422


class NoReview(ValueError):
    """What was sent is no AdmissionReview."""


class _Request(msgspec.Struct, frozen=True):
    uid: str
    operation: str = ""
    object: msgspec.Raw = msgspec.Raw(b"null")


class _Review(msgspec.Struct, frozen=True):
    request: _Request


_review = msgspec.json.Decoder(_Review)
_object = msgspec.json.Decoder(wire.Custom)


def validate(body: bytes) -> bytes:
    """The answer to one AdmissionReview. Raises NoReview."""
    try:
        request = _review.decode(body).request
    except msgspec.MsgspecError as error:
        raise NoReview(f"this is no AdmissionReview: {error}") from None
    wrong = "" if bytes(request.object) == b"null" else problem(request.object)
    response: dict[str, object] = {"uid": request.uid, "allowed": not wrong}
    if wrong:
        response["status"] = {"code": _INVALID, "reason": "Invalid", "message": wrong}
    answer = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    return msgspec.json.encode(answer)


def problem(sent: msgspec.Raw) -> str:
    """Everything that is wrong with an object; empty if nothing is."""
    try:
        fact = facts.custom(_object.decode(sent))
    except msgspec.MsgspecError as error:
        return str(error)
    read = objects.read_json(fact.content, fact.key)
    return "; ".join(finding.message for finding in read.refused)
