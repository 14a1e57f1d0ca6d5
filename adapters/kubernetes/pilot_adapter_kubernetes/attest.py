"""Who a service account's token belongs to: the API server's word, by TokenReview.

kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1

Rule 1: a token counts only where the server says that it is meant for us: a server that knows no
audiences says none, and that is a no.
Rule 2: nothing good is remembered, and a token that is bound to a pod counts while we see that pod:
servers remember what was good for ten seconds. What is worth nothing is remembered for a moment.
Rule 3: an agent of a node speaks for a pod only where it is allowed to, and only for one that runs
on its own node.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

import msgspec

from pilot_adapter_kubernetes import facts, wire
from pilot_adapter_kubernetes.api import Api, Refused
from pilot_adapter_kubernetes.catalogue import Catalogue
from pilot_core.adapter import Denied, Unavailable
from pilot_core.clock import Clock
from pilot_core.model import Evidence, Workload

TOKEN, ON_BEHALF = "token", "on-behalf"
"""Kinds of evidence: a token; and JSON with an agent's token and the account that it asks for."""

_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_SUBJECT = re.compile(r"system:serviceaccount:([^:]+):([^:]+)\Z")
_ACCOUNTS = "system:serviceaccounts"
_EXTRA = "authentication.kubernetes.io/"
_REMEMBERED = 10.0
_MANY = 4096
_LONGEST = 16384
"""Bytes; tokens have one or two thousand."""
_AT_ONCE = 32

_review = msgspec.json.Decoder(wire.TokenReview)


class OnBehalf(msgspec.Struct, frozen=True):
    """The payload of an agent: for which account of which namespace it asks."""

    token: str
    namespace: str
    service_account: str


_on_behalf = msgspec.json.Decoder(OnBehalf)


class Account(msgspec.Struct, frozen=True):
    """What a token says, and the server confirms; `pod`, `pod_uid` and `node` are empty where the
    token is bound to none."""

    namespace: str
    name: str
    pod: str = ""
    pod_uid: str = ""
    node: str = ""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def account(status: wire.TokenReviewStatus, audience: str) -> Account:
    """Who the server says that it is. Raises Denied."""
    if status.error or not status.authenticated:
        raise Denied(f"the token proves nothing: {status.error or 'not authenticated'}")
    if audience not in (status.audiences or ()):
        raise Denied(f"the token is not meant for {audience}")
    found = _SUBJECT.match(status.user.username)
    if found is None or _ACCOUNTS not in (status.user.groups or ()):
        raise Denied(f"the token of {status.user.username[:80]!r} is no service account's")
    extra = {k.removeprefix(_EXTRA): v[0] for k, v in (status.user.extra or {}).items() if v}
    return Account(
        found[1],
        found[2],
        pod=extra.get("pod-name", ""),
        pod_uid=extra.get("pod-uid", ""),
        node=extra.get("node-name", ""),
    )


class Asked(Protocol):
    """A cluster that is asked: its server, and who runs where in it."""

    @property
    def api(self) -> Api: ...
    @property
    def catalogue(self) -> Catalogue: ...


class Reviews:
    """Asks `clusters`, the one at home first, and remembers for a while what they have refused.
    `agents` are the accounts, `namespace/name`, that may speak for others on their nodes."""

    def __init__(
        self,
        clusters: Callable[[], Iterable[Asked]],
        clock: Clock,
        *,
        audience: str,
        agents: Collection[str] = (),
    ) -> None:
        self._clusters, self._clock = clusters, clock
        self._audience, self._agents = audience, agents
        self._refused: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def workload(self, evidence: Evidence) -> Workload:
        """Whom this proves. Raises Denied where nobody, Unavailable where a server that might know
        cannot be asked."""
        if evidence.kind == TOKEN:
            known, cluster = await self._account(evidence.payload.decode(errors="replace"))
            return _workload(known, _pod_of(known, cluster.catalogue))
        if evidence.kind != ON_BEHALF:
            raise Denied(f"evidence of the kind {evidence.kind!r} proves nothing here")
        try:
            asked = _on_behalf.decode(evidence.payload)
        except msgspec.MsgspecError as error:
            raise Denied(f"this is not what an agent says: {error}") from None
        agent, cluster = await self._account(asked.token)
        return self._on_behalf(agent, asked, cluster.catalogue)

    def _on_behalf(self, agent: Account, asked: OnBehalf, catalogue: Catalogue) -> Workload:
        if agent.key not in self._agents:
            raise Denied(f"{agent.key} may not speak for others")
        own = _pod_of(agent, catalogue)
        node = agent.node or (own.node if own is not None else "")
        for pod in catalogue.pods_on(node) if node else ():
            is_it = (pod.namespace, pod.account) == (asked.namespace, asked.service_account)
            if is_it and not pod.over:
                return _workload(Account(pod.namespace, pod.account, node=node), None)
        wanted = f"{asked.namespace}/{asked.service_account}"
        raise Denied(f"no pod of {wanted} runs on the node {node or 'of an agent without one'}")

    async def _account(self, token: str) -> tuple[Account, Asked]:
        """Whose token it is, as the first cluster says that knows it."""
        if not token or len(token) > _LONGEST:
            raise Denied("this is no token")
        digest = hashlib.sha256(token.encode()).digest()
        self._recall(digest)
        denied: Denied | None = None
        unasked: Unavailable | None = None
        for cluster in self._clusters():
            try:
                return account(await self._ask(cluster.api, token), self._audience), cluster
            except Denied as error:
                denied = denied or error
            except Unavailable as error:
                unasked = unasked or error
        if unasked is not None or denied is None:
            raise unasked or Unavailable("no API server can be asked about tokens now")
        self._remember(digest, str(denied))
        raise denied

    def _recall(self, digest: bytes) -> None:
        until, why = self._refused.get(digest, (0.0, ""))
        if until > self._clock.monotonic():
            raise Denied(why)
        self._refused.pop(digest, None)

    def _remember(self, digest: bytes, why: str) -> None:
        self._refused[digest] = self._clock.monotonic() + _REMEMBERED, why
        while len(self._refused) > _MANY:
            self._refused.popitem(last=False)

    async def _ask(self, api: Api, token: str) -> wire.TokenReviewStatus:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self._audience]},
        }
        try:
            async with self._room:
                return _review.decode(await api.call("POST", _PATH, body)).status
        except Refused as refused:
            # Whether the token is good is not known: it is we who may not ask, or not now.
            raise Unavailable(f"cannot create tokenreviews: {refused}") from refused
        except msgspec.MsgspecError as error:
            raise Unavailable(f"this is no TokenReview: {error}") from None


def _pod_of(known: Account, catalogue: Catalogue) -> facts.Pod | None:
    """The pod that the token is bound to; None where it is bound to none. Raises Denied where that
    pod is not there, or has ended."""
    if not known.pod_uid:
        return None
    pod = catalogue.pod_named(f"{known.namespace}/{known.pod}")
    if pod is None or pod.uid != known.pod_uid or pod.over:
        raise Denied(f"the token's pod {known.namespace}/{known.pod} does not run")
    return pod


def _workload(known: Account, pod: facts.Pod | None) -> Workload:
    selectors = {"pod": known.pod, "pod-uid": known.pod_uid, "node": known.node}
    return Workload(
        path=f"/ns/{known.namespace}/sa/{known.name}",
        namespace=known.namespace,
        service_account=known.name,
        addresses=pod.addresses if pod is not None else (),
        selectors=tuple((name, value) for name, value in selectors.items() if value),
    )
