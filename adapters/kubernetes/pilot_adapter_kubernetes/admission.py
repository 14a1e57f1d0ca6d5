"""What an API server asks before it takes an object: answered like `pilot-core check`.

kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers, v1.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilot_adapter_kubernetes import facts, inject, wire
from pilot_core.adapter import ConfigError, Sidecar
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
    request = _asked(body)
    wrong = "" if bytes(request.object) == b"null" else problem(request.object)
    return _answer(request, wrong)


def injecting(body: bytes, sidecar: Sidecar) -> bytes:
    """The answer to one about a pod: a patch with its proxy, if it is to have one. Asked again
    about what came of it, there is none. Raises NoReview."""
    request = _asked(body)
    pod = msgspec.json.decode(request.object)
    if not isinstance(pod, dict) or pod.get("kind") != "Pod":
        return _answer(request)
    try:
        meta = msgspec.convert(pod.get("metadata", {}), wire.Meta)
        workload = facts.workload_of(meta) or inject.named(pod["metadata"])
        made = inject.pod(pod, workload, f"pod of {workload}", sidecar)
    except (msgspec.MsgspecError, ConfigError) as error:
        # Without its proxy it would be outside the mesh, and nobody would know.
        return _answer(request, str(error))
    # RFC 6902: where there is a member already, "add" takes its place.
    patch = [
        {"op": "add", "path": f"/spec/{key}", "value": value}
        for key, value in made["spec"].items()
        if pod["spec"].get(key) != value
    ]
    return _answer(request, patch=patch)


def _asked(body: bytes) -> _Request:
    try:
        return _review.decode(body).request
    except msgspec.MsgspecError as error:
        raise NoReview(f"this is no AdmissionReview: {error}") from None


def _answer(request: _Request, wrong: str = "", patch: list[dict[str, Any]] | None = None) -> bytes:
    response: dict[str, object] = {"uid": request.uid, "allowed": not wrong}
    if wrong:
        response["status"] = {"code": _INVALID, "reason": "Invalid", "message": wrong}
    if patch:
        response |= {"patchType": "JSONPatch", "patch": msgspec.json.encode(patch)}
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
