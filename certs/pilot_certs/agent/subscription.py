"""One SDS stream as a state machine: requests in, responses out, no I/O.

Rule 1: what has not changed is not sent again; each response carries only what has.
Rule 2: a response that was refused is not repeated: it is sent again when its content changes.
Rule 3: both variants of the protocol are this one machine; they differ in their messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from pilot_certs.agent.secrets import TYPE_URL, Encoded
from pilot_certs.messages import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from pilot_certs.refusal import InvalidRequest

Find: TypeAlias = Callable[[str], Encoded | None]
MOST_NAMES = 100


class Subscription:
    """What one stream wants, what it was sent, and what it has acknowledged."""

    def __init__(self) -> None:
        self.acked: dict[str, str] = {}
        """Versions by secret."""
        self.error = ""
        """What the client said of the last response that it refused."""
        self.account = ""
        """The path of the identity that the client's node says it has; empty where it says none."""
        self._names: tuple[str, ...] = ()
        self._sent: dict[str, str] = {}
        self._pending: dict[str, dict[str, str]] = {}
        self._number = 0

    def sotw(self, request: Any) -> None:
        """A request of the state-of-the-world variant. Raises InvalidRequest."""
        self._check(request)
        self._heard_node(request)
        self._answered(request)
        self._want(tuple(dict.fromkeys(request.resource_names)))

    def delta(self, request: Any) -> None:
        """A request of the delta variant. Raises InvalidRequest."""
        self._check(request)
        self._heard_node(request)
        self._answered(request)
        gone = set(request.resource_names_unsubscribe)
        for name in request.resource_names_subscribe:
            # To subscribe anew is to ask for it anew.
            self._sent.pop(name, None)
        names = (*self._names, *request.resource_names_subscribe)
        self._want(tuple(n for n in dict.fromkeys(names) if n not in gone))

    def wants(self, name: str) -> bool:
        return name in self._names

    def owed(self, find: Find) -> tuple[Encoded, ...]:
        """What has changed since it was sent. Raises what `find` raises."""
        found = (find(name) for name in self._names)
        return tuple(s for s in found if s and self._sent.get(s.name) != s.version)

    def unacknowledged(self, find: Find) -> tuple[Encoded, ...]:
        """What is there and has not been acknowledged as it is now. Raises what `find` raises."""
        found = (find(name) for name in self._names)
        return tuple(s for s in found if s and self.acked.get(s.name) != s.version)

    def sending(self, secrets: Sequence[Encoded]) -> str:
        """These go out now: the nonce by which they will be answered."""
        self._number += 1
        versions = {secret.name: secret.version for secret in secrets}
        self._sent |= versions
        nonce = str(self._number)
        self._pending[nonce] = versions
        return nonce

    def _answered(self, request: Any) -> None:
        versions = self._pending.pop(request.response_nonce, None)
        if versions is None:
            return
        if request.HasField("error_detail"):
            self.error = request.error_detail.message or "refused"
        else:
            self.error = ""
            self.acked |= versions

    def _heard_node(self, request: Any) -> None:
        """Only the first request of a stream has to say it."""
        if not self.account and request.HasField("node"):
            said = {key: value.string_value for key, value in request.node.metadata.fields.items()}
            if said.get("SERVICE_ACCOUNT"):
                namespace = said.get("NAMESPACE") or "default"
                self.account = f"/ns/{namespace}/sa/{said['SERVICE_ACCOUNT']}"

    def _want(self, names: tuple[str, ...]) -> None:
        if len(names) > MOST_NAMES:
            raise InvalidRequest("secret-names", f"{len(names)} secrets on one stream")
        self._names = names
        for known in (self._sent, self.acked):
            for name in known.keys() - set(names):
                del known[name]

    @staticmethod
    def _check(request: Any) -> None:
        if request.type_url not in ("", TYPE_URL):
            raise InvalidRequest("type-url", f"{request.type_url[:80]!r} is not served here")


class Sotw:
    """The messages of the state-of-the-world variant."""

    Request = DiscoveryRequest
    receive = staticmethod(Subscription.sotw)

    @staticmethod
    def response(secrets: Sequence[Encoded], nonce: str) -> bytes:
        version = "-".join(secret.version for secret in secrets)
        made = DiscoveryResponse(version_info=version, type_url=TYPE_URL, nonce=nonce)
        for secret in secrets:
            made.resources.add(type_url=TYPE_URL, value=secret.data)
        data: bytes = made.SerializeToString()
        return data


class Delta:
    """The messages of the delta variant."""

    Request = DeltaDiscoveryRequest
    receive = staticmethod(Subscription.delta)

    @staticmethod
    def response(secrets: Sequence[Encoded], nonce: str) -> bytes:
        made = DeltaDiscoveryResponse(type_url=TYPE_URL, nonce=nonce)
        for secret in secrets:
            added = made.resources.add(name=secret.name, version=secret.version)
            added.resource.type_url, added.resource.value = TYPE_URL, secret.data
        data: bytes = made.SerializeToString()
        return data
