"""An xDS stream as a state machine: requests in, finished responses out, no I/O and no clock.

Rule 1: whatever decides if a response is owed lives here, in `requests` and in `subscription`.
Rule 2: `next` is asked only when the last response has been written, so that there is never a
queue: what is newest is put together at that moment.
Rule 3: one unacknowledged push per type. What a client newly asked for does not wait for it, and no
type waits for another one's acknowledgement (Envoy withholds that of CDS until EDS has come).
Rule 4: the endpoints of every new or changed cluster follow right behind it, asked for or not:
Envoy keeps such a cluster warming until they come, for 15 s if they never do.
Rule 5: additions in the order CDS, EDS, LDS, RDS. As clusters may have to wait for rule 3, new
listeners and routes wait with them. Removals come after all additions, and clusters go when the
listeners and routes that used them have been acknowledged. None of these waits is longer than
`PATIENCE`: a client that never answers for one type still gets the others.
Rule 6: a refusal is an `error_detail`, nothing else. Refused content is not sent again until it
changes; the next push carries all else that is in doubt.
Rule 7: a client that comes back and says which versions it has, gets what differs. Endpoints that
it names and has are not sent again, unless their cluster is (envoy#22418 is what happens then).
If the connection broke between a cluster and its endpoints, a client may come back with a cluster
that is still warming and with old endpoints for it, which cannot be told from one that is not:
such a cluster goes on with the endpoints it has when its client's timeout is over. Nor can it be
told that a state-of-the-world client kept parts of what it refused on its last stream: they stay
until the type changes, should all be as before by then.

Sources: Envoy's "xDS REST and gRPC protocol"; gRFC A27, A46; envoy#13009, #22418.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from pilot_xds import answers, requests, steps, wire
from pilot_xds.answers import NOTHING, Body
from pilot_xds.layer import Step
from pilot_xds.names import NOT_SPELLED, Spelling, Versions
from pilot_xds.requests import Heard
from pilot_xds.snapshot import Snapshot, find
from pilot_xds.steps import NO_STEP
from pilot_xds.subscription import Subscription, TypeStatus
from pilot_xds.types import BY_URL, PUSH_ORDER, REMOVAL_ORDER, ResourceType, Variant

PATIENCE = 15.0
"""Seconds that one type may wait for the client's answer about another: as long as Envoy waits for
the endpoints of a cluster before it goes on without."""
_UNKNOWN_TYPES = 16
"""Requests for types that nobody serves which may be unanswered at a time."""
_NO_NAMES: frozenset[str] = frozenset()
_USERS = {
    ResourceType.LISTENER: (),
    ResourceType.ROUTES: (ResourceType.LISTENER,),
    ResourceType.CLUSTER: (ResourceType.LISTENER, ResourceType.ROUTES),
    ResourceType.ENDPOINTS: (ResourceType.LISTENER, ResourceType.ROUTES, ResourceType.CLUSTER),
    ResourceType.SECRET: (ResourceType.LISTENER, ResourceType.CLUSTER),
}
"""Whose references have to be gone before resources of a type may go."""


class Response(msgspec.Struct, frozen=True, gc=False):
    """One finished message, and how many resources it carries or removes.

    It is its body, which is shared with everybody who is sent the same, and then its tail.
    """

    type: ResourceType | None
    body: bytes
    tail: bytes
    resources: int

    @property
    def data(self) -> bytes:
        return self.body + self.tail


class Stream:
    """One client's ADS stream. `now` is seconds on whatever clock the caller keeps to."""

    __slots__ = (
        "_fresh",
        "_nonces",
        "_reader",
        "_target",
        "_unknown",
        "retry_at",
        "types",
        "variant",
    )

    def __init__(self, variant: Variant, reader: wire.Reader) -> None:
        self.variant = variant
        self.types: dict[ResourceType, Subscription] = {}
        self.retry_at: float | None = None
        """When to ask `next` again even if nothing happens until then: something is held back."""
        self._reader = reader
        self._target: Snapshot | None = None
        self._nonces = 0
        self._fresh: frozenset[str] = _NO_NAMES
        """Clusters sent to a returning client before it has spoken of endpoints."""
        self._unknown: tuple[tuple[str, frozenset[str]], ...] = ()

    def update(self, snapshot: Snapshot) -> None:
        """This is what the client is to have from now on."""
        self._target = snapshot

    def receive(self, data: bytes, now: float) -> tuple[Heard, bytes | None]:
        """Take one request; also returns the node that came with it, serialized.

        Raises wire.Malformed.
        """
        is_delta = self.variant is Variant.DELTA
        if is_delta:
            request, node = self._reader.delta(data)
        else:
            request, node = self._reader.sotw(data, self._endpoint_spelling())
        if not request.type_url:
            raise wire.Malformed("a discovery request that says no type")
        type = BY_URL.get(request.type_url)
        if type is None:
            return self._hear_unknown(request), node
        sub = self.types.get(type)
        is_first = sub is None
        if sub is None:
            sub = self.types[type] = Subscription(type, now)
        hear = requests.hear_delta if is_delta else requests.hear_sotw
        return hear(sub, request, is_first=is_first, now=now), node

    def next(self, now: float) -> Response | None:
        """The next response that is owed, which counts as sent from now on."""
        self.retry_at = None
        if self._unknown:
            return self._answer_unknown()
        target = self._target
        if target is None:
            return None
        for type in PUSH_ORDER:
            sub = self.types.get(type)
            if sub is not None and self._is_due(sub, target, now):
                response = self._push(sub, target, now)
                if response is not None:
                    return response
        return self._remove(target, now)

    def has_work(self) -> bool:
        """Would `next` have something to say? May be wrong in saying yes, never in saying no."""
        target = self._target
        if self._unknown:
            return True
        if target is None:
            return False
        for type, sub in self.types.items():
            if sub.leaving or sub.is_asked or sub.resume is not None:
                return True
            if not sub.is_outstanding and sub.told != target.by_type[type]:
                return True
        return False

    def has_everything(self) -> bool:
        """Has the client answered for all that there is for it?"""
        return not self.has_work() and not self.is_outstanding()

    def is_outstanding(self) -> bool:
        """Is the client still to answer for something?"""
        return any(sub.is_outstanding for sub in self.types.values())

    def status(self, type: ResourceType, now: float) -> TypeStatus | None:
        """How far the client is with a type; None where it has not asked for it."""
        sub, target = self.types.get(type), self._target
        if sub is None:
            return None
        if target is None:
            return sub.status(None, "", now)
        return sub.status(target.layers(type), target.version(type), now)

    def _endpoint_spelling(self) -> Spelling:
        sub = self.types.get(ResourceType.ENDPOINTS)
        return sub.spelling if sub else NOT_SPELLED

    def _hear_unknown(self, request: wire.Request) -> Heard:
        # Nobody serves this type: delta can say so, state of the world has no words for it.
        wanted = request.subscribe.set
        if self.variant is Variant.DELTA and wanted and len(self._unknown) < _UNKNOWN_TYPES:
            self._unknown += ((request.type_url, wanted),)
        return Heard()

    def _answer_unknown(self) -> Response:
        (url, names), *rest = self._unknown
        self._unknown = tuple(rest)
        removed = wire.removed_fields(tuple(sorted(names - {requests.WILDCARD})))
        return Response(None, removed, wire.response_tail(url, "", self._nonce()), len(names))

    # Additions

    def _is_due(self, sub: Subscription, target: Snapshot, now: float) -> bool:
        if sub.is_asked or sub.resume is not None:
            return True
        if sub.told == target.layers(sub.type) or sub.is_outstanding:
            return False
        return not self._is_held(sub, target, now)

    def _is_held(self, sub: Subscription, target: Snapshot, now: float) -> bool:
        """Rule 5: would these listeners or routes come before the clusters that they name?"""
        clusters = self.types.get(ResourceType.CLUSTER)
        if sub.type not in (ResourceType.LISTENER, ResourceType.ROUTES) or sub.told is None:
            return False
        if clusters is None or not clusters.is_outstanding or clusters.told is None:
            return False
        step = steps.between(clusters.told, target.layers(ResourceType.CLUSTER))
        if not any(clusters.wants(name) for name in step.changed):
            return False
        return self._is_patient(clusters, now)

    def _is_patient(self, sub: Subscription, now: float) -> bool:
        """Is it too early to go on without this type's answer?"""
        until = sub.since + PATIENCE
        if now >= until:
            return False
        self.retry_at = until if self.retry_at is None else min(self.retry_at, until)
        return True

    def _push(self, sub: Subscription, target: Snapshot, now: float) -> Response | None:
        if self.variant is Variant.SOTW and sub.type.is_full_state:
            body, sent = self._all(sub, target)
        else:
            is_news = sub.told is None or not self._is_held(sub, target, now)
            body, sent = self._some(sub, target, is_news=is_news)
        has_to, sub.must_answer = sub.must_answer, False
        if not body and not has_to:
            sub.settle(target.version(sub.type))
            return None
        return self._send(sub, target, body, sent, now)

    def _all(self, sub: Subscription, target: Snapshot) -> tuple[Body, tuple[Collection[str], ...]]:
        """State of the world, of a type whose responses hold all there is."""
        layers, told = target.layers(sub.type), sub.told
        said, sub.resume = sub.resume, None
        sub.told = layers
        asked, sub.owed = sub.owed, _NO_NAMES
        if said is not None and said == target.version(sub.type):
            sub.must_answer = False
            return NOTHING, ()
        step = NO_STEP if told is None else steps.between(told, layers)
        self._note_leaving(sub, step, told or ())
        sub.forgive(layers)
        fresh = [name for name in step.changed if sub.wants(name)]
        if not fresh and not sub.must_answer:
            return NOTHING, ()
        if told is None:
            self._prompt_endpoints_of_all(sub)
        else:
            self._prompt_endpoints(sub, {*fresh, *asked, *_names(sub.doubt)})
        sub.doubt = ()
        body = answers.full_state(sub, layers)
        return body, (*(layer.resources for layer in layers), frozenset(sub.leaving))

    def _some(
        self, sub: Subscription, target: Snapshot, *, is_news: bool
    ) -> tuple[Body, tuple[Collection[str], ...]]:
        """What differs from what the client has, and what it newly asked for."""
        layers = target.layers(sub.type)
        step = self._take_news(sub, target) if is_news else NO_STEP
        if sub.owes_all:
            return self._everything(sub, layers)
        said: Collection[str] = step.changed
        body = answers.changed(sub, step, self.variant)
        if body.resources != len(said):
            said = [n for n, r in step.changed.items() if sub.wants(n) and not sub.is_refused(r)]
        rest = self._take_asked(sub, said) if sub.owed or sub.prompted else _NO_NAMES
        if sub.doubt and (body or rest or any(map(sub.wants, step.removed))):
            rest |= self._take_doubtful(sub, layers).difference(said)
        if sub.type is ResourceType.CLUSTER:
            self._prompt_endpoints(sub, {*said, *rest})
        if not rest:
            return body, (said,) if said else ()
        body = body.plus(answers.named(rest, sub, layers, self.variant))
        return body, (said, rest) if said else (rest,)

    def _take_news(self, sub: Subscription, target: Snapshot) -> Step:
        """What differs from what the client has been told, which is thereby told."""
        layers, told = target.layers(sub.type), sub.told
        sub.told = layers
        if sub.resume is not None:
            return self._resume(sub, layers)
        if told is None or told == layers:
            return NO_STEP
        step = steps.between(told, layers)
        self._note_leaving(sub, step, told)
        sub.forgive(layers)
        return step

    def _everything(
        self, sub: Subscription, layers: steps.Layers
    ) -> tuple[Body, tuple[Collection[str], ...]]:
        """All that there is, and that there is nothing of what was asked for besides."""
        sub.owes_all = False
        names, sub.owed, sub.prompted, sub.doubt = sub.owed, _NO_NAMES, _NO_NAMES, ()
        self._prompt_endpoints_of_all(sub)
        body = answers.everything(layers, self.variant)
        absent = [name for name in names if find(layers, name) is None]
        body = body.plus(answers.missing(absent, sub.type, self.variant))
        return body, tuple(layer.resources for layer in layers)

    def _take_asked(self, sub: Subscription, said: Collection[str]) -> frozenset[str]:
        """What was asked for, and what is due without, but for what is said anyway."""
        names = sub.owed
        if sub.culprits:
            # What is asked for by name is sent even if it was refused: it may be taken now.
            sub.pardon(names)
        prompted = sub.prompted - sub.culprits.keys() if sub.culprits else sub.prompted
        if not prompted <= names:
            names |= prompted
        sub.owed = sub.prompted = _NO_NAMES
        return names.difference(said) if names and said else names

    def _take_doubtful(self, sub: Subscription, layers: steps.Layers) -> frozenset[str]:
        """What the client may or may not have, and is not known to refuse."""
        found = {n: find(layers, n) for n in _names(sub.doubt) if sub.wants(n)}
        sub.leave({n: None for n, r in found.items() if r is None})
        sub.doubt = ()
        return frozenset(n for n, r in found.items() if r is not None and not sub.is_refused(r))

    def _note_leaving(self, sub: Subscription, step: Step, told: steps.Layers) -> None:
        sub.stay(step.changed)
        if step.removed:
            gone = ((name, find(told, name)) for name in step.removed if sub.wants(name))
            sub.leave({name: r and sub.taken_of(r) for name, r in gone})

    def _prompt_endpoints(self, sub: Subscription, clusters: Iterable[str]) -> None:
        """Rule 4, for the clusters that have endpoints of their own."""
        target = self._target
        if sub.type is not ResourceType.CLUSTER or target is None:
            return
        layers = target.layers(ResourceType.ENDPOINTS)
        endpoints = self.types.get(ResourceType.ENDPOINTS)
        if endpoints is None:
            if sub.has_resumed:
                self._fresh |= {n for n in clusters if find(layers, n) is not None}
            return
        endpoints.prompted |= {
            n for n in clusters if n in endpoints.names or find(layers, n) is not None
        }

    def _prompt_endpoints_of_all(self, sub: Subscription) -> None:
        """Every cluster is sent to a client that may have asked for endpoints before."""
        if sub.type is not ResourceType.CLUSTER or ResourceType.ENDPOINTS not in self.types:
            return
        assert self._target is not None
        names = steps.names(self._target.layers(ResourceType.CLUSTER))
        self._prompt_endpoints(sub, filter(sub.wants, names))

    # Clients that come back

    def _resume(self, sub: Subscription, layers: steps.Layers) -> Step:
        """Rule 7: take the client at its word about what it has."""
        said, sub.resume = sub.resume, None
        assert isinstance(said, Versions)
        sub.has_resumed = True
        step = answers.since_versions(said, layers)
        if sub.is_wildcard:
            sub.owes_all = sub.must_answer = False
            sub.leave(dict.fromkeys(step.removed))
        sub.owed = said.without(sub.owed, self._known(sub, said, step))
        return step if sub.is_wildcard else NO_STEP

    def _known(self, sub: Subscription, said: Versions, step: Step) -> frozenset[str]:
        """The names whose content the client has, and that need not be sent again."""
        if sub.type is not ResourceType.ENDPOINTS:
            return said.known_but({*step.changed, *step.removed})
        clusters = self.types.get(ResourceType.CLUSTER)
        if clusters is not None and clusters.told is not None and not clusters.has_resumed:
            # All of its clusters have just been sent.
            return _NO_NAMES
        empty = {n for n in step.removed if said.by_name[n] == answers.empty_assignment(n).version}
        gone = set(step.removed) - empty
        fresh, self._fresh = self._fresh, _NO_NAMES
        return said.known_but(gone.union(fresh, step.changed))

    # Removals

    def _remove(self, target: Snapshot, now: float) -> Response | None:
        """What is gone, once nothing that is to come before it is pending."""
        for type in REMOVAL_ORDER:
            sub = self.types.get(type)
            if sub is None or not sub.leaving or sub.is_outstanding:
                continue
            if sub.told != target.layers(type):
                # What is held back comes first, and is not told with this.
                continue
            if any(self._is_used(user, target, now) for user in _USERS[type]):
                continue
            names, sub.leaving = frozenset(sub.leaving), {}
            body = self._without(sub, names, target)
            if body or (self.variant is Variant.SOTW and sub.type.is_full_state):
                return self._send(sub, target, body, (names,), now)
        return None

    def _is_used(self, user: ResourceType, target: Snapshot, now: float) -> bool:
        """May the client still have something of this type that refers to what is leaving?"""
        sub = self.types.get(user)
        if sub is None:
            return False
        is_settled = sub.told == target.layers(user) and not sub.leaving
        return not (is_settled and not sub.is_outstanding) and self._is_patient(sub, now)

    def _without(self, sub: Subscription, names: frozenset[str], target: Snapshot) -> Body:
        """What tells the client that these are gone, as far as there are words for it."""
        layers = target.layers(sub.type)
        if self.variant is Variant.SOTW and sub.type.is_full_state:
            self._prompt_endpoints(sub, _names(sub.doubt))
            sub.doubt = ()
            return answers.full_state(sub, layers)
        gone = {n for n in names if sub.wants(n) and find(layers, n) is None}
        kept: set[str] = set()
        if sub.type is ResourceType.ENDPOINTS:
            clusters = target.layers(ResourceType.CLUSTER)
            has_clusters = ResourceType.CLUSTER in self.types
            kept = {n for n in gone if not has_clusters or find(clusters, n) is not None}
        body = answers.missing(kept, sub.type, self.variant) if kept else NOTHING
        if self.variant is Variant.SOTW or gone == kept:
            return body
        return body.plus(answers.removed(tuple(sorted(gone - kept))))

    def _send(
        self,
        sub: Subscription,
        target: Snapshot,
        body: Body,
        sent: tuple[Collection[str], ...],
        now: float,
    ) -> Response:
        sub.nonce, sub.sent = self._nonce(), target.version(sub.type)
        sub.flight += sent
        sub.is_outstanding, sub.since = True, now
        if (
            self.variant is Variant.SOTW
            and sub.type.is_full_state
            and (sub.culprits or sub.leaving)
        ):
            # This is not what the version stands for, and a client that came back with it would
            # get nothing.
            sub.sent += "-partial"
        tail = wire.response_tail(sub.type.url, sub.sent, sub.nonce)
        return Response(sub.type, body.data, tail, body.resources + body.removed)

    def _nonce(self) -> str:
        self._nonces += 1
        return str(self._nonces)


def _names(parts: Iterable[Collection[str]]) -> frozenset[str]:
    return frozenset(name for part in parts for name in part)
