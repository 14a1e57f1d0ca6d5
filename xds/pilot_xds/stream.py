"""An xDS stream as a state machine: requests in, finished responses out, no I/O and no clock.

Rule 1: whatever decides if a response is owed lives here, in `requests` and in `subscription`.
Rule 2: `next` is asked only when the last response has been written, so that there is never a
queue: what is newest is put together at that moment.
Rule 3: one unacknowledged push per type. What a client newly asked for does not wait for it, and no
type waits for another one's acknowledgement (Envoy withholds that of CDS until EDS has come).
Rule 4: the endpoints of every new or changed cluster follow right behind it, asked for or not:
Envoy keeps such a cluster warming until they come, for 15 s if they never do.
Rule 5: additions in the order CDS, EDS, LDS, RDS; removals after all of them, the users first.
Rule 6: a refusal is an `error_detail`, nothing else. Refused content is not sent again until it
changes; the next push carries all else that differs from what was acknowledged.
Rule 7: a client that comes back and says which versions it has, gets what differs. Endpoints that
it names and has are not sent again, unless their cluster is.

Sources: Envoy's "xDS REST and gRPC protocol"; gRFC A27, A46; envoy#13009, #22418.
"""

from __future__ import annotations

import msgspec

from pilot_xds import answers, requests, steps, wire
from pilot_xds.answers import Body
from pilot_xds.layer import Step
from pilot_xds.names import NO_NAMES, Names, Versions
from pilot_xds.requests import Heard
from pilot_xds.snapshot import Snapshot, find
from pilot_xds.subscription import Subscription, TypeStatus
from pilot_xds.types import BY_URL, PUSH_ORDER, REMOVAL_ORDER, ResourceType, Variant


class Response(msgspec.Struct, frozen=True, gc=False):
    """One finished message, and how many resources it carries or removes."""

    type: ResourceType | None
    data: bytes
    resources: int


class Stream:
    """One client's ADS stream. `now` is seconds on whatever clock the caller keeps to."""

    __slots__ = ("_fresh", "_nonces", "_reader", "_target", "_unknown", "types", "variant")

    def __init__(self, variant: Variant, reader: wire.Reader) -> None:
        self.variant = variant
        self.types: dict[ResourceType, Subscription] = {}
        self._reader = reader
        self._target: Snapshot | None = None
        self._nonces = 0
        self._fresh: frozenset[str] = frozenset()
        """Clusters sent to a returning client before it has spoken of endpoints."""
        self._unknown: list[tuple[str, Names]] = []

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
            request, node = self._reader.sotw(data, self._endpoint_names())
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
        if self._unknown:
            return self._answer_unknown()
        if self._target is None:
            return None
        for type in PUSH_ORDER:
            sub = self.types.get(type)
            if sub is not None and (response := self._push(sub, self._target, now)) is not None:
                return response
        return self._remove(self._target, now)

    def has_work(self) -> bool:
        """Would `next` have something to say? May be wrong in saying yes, never in saying no."""
        target = self._target
        if self._unknown:
            return True
        return target is not None and any(
            sub.leaving or sub.resume is not None or self._is_due(sub, target.layers(type))
            for type, sub in self.types.items()
        )

    def status(self, type: ResourceType, now: float) -> TypeStatus | None:
        """How far the client is with a type; None where it has not asked for it."""
        sub, target = self.types.get(type), self._target
        if sub is None:
            return None
        if target is None:
            return sub.status((), "", now)
        return sub.status(target.layers(type), target.version(type), now)

    def _endpoint_names(self) -> Names:
        sub = self.types.get(ResourceType.ENDPOINTS)
        return sub.names if sub else NO_NAMES

    def _hear_unknown(self, request: wire.Request) -> Heard:
        # Nobody serves this type: delta can say so, state of the world has no words for it.
        if self.variant is Variant.DELTA and request.subscribe and not request.nonce:
            self._unknown.append((request.type_url, request.subscribe))
        return Heard()

    def _answer_unknown(self) -> Response:
        url, names = self._unknown.pop(0)
        removed = wire.removed_fields(tuple(sorted(names.set)))
        return Response(None, wire.delta_response(removed, url, "", self._nonce()), len(names))

    # Additions

    def _push(self, sub: Subscription, target: Snapshot, now: float) -> Response | None:
        layers = target.layers(sub.type)
        if sub.resume is not None:
            self._resume(sub, layers, target.version(sub.type))
        if not self._is_due(sub, layers):
            return None
        sub.forgive(layers)
        was_refused = sub.refused == layers and not sub.must_answer
        body = self._asked(sub, layers) if was_refused else self._content(sub, layers)
        has_to = sub.must_answer
        sub.must_answer = False
        known = sub.sent_layers if was_refused else layers
        if not body.resources and not body.removed and not has_to:
            sub.settle(known, target.version(sub.type))
            return None
        return self._send(sub, known, target, body, now)

    def _is_due(self, sub: Subscription, layers: steps.Layers) -> bool:
        if sub.must_answer or sub.owed or sub.prompted:
            return True
        return sub.sent_layers != layers and not sub.is_outstanding and sub.refused != layers

    def _content(self, sub: Subscription, layers: steps.Layers) -> Body:
        """What differs from what the client has, and what it newly asked for."""
        if sub.sent_layers is None:
            if sub.type is ResourceType.CLUSTER:
                self._prompt_all_endpoints()
            if sub.is_wildcard or (self.variant is Variant.SOTW and sub.type.is_full_state):
                sub.owed = sub.prompted = frozenset()
                return answers.everything(sub, layers, self.variant)
            return self._asked(sub, layers)
        step = steps.between(sub.sent_layers, layers)
        self._note_leaving(sub, step)
        if sub.type is ResourceType.CLUSTER and step.changed:
            self._prompt_endpoints(frozenset(step.changed))
        if self.variant is Variant.SOTW and sub.type.is_full_state:
            return answers.full_state(sub, step, layers)
        body = answers.changed(sub, step, self.variant)
        if not sub.owed and not sub.prompted:
            return body
        said = {name for name in step.changed if sub.wants(name)}
        sub.owed, sub.prompted = sub.owed - said, sub.prompted - said
        return body.plus(self._asked(sub, layers))

    def _asked(self, sub: Subscription, layers: steps.Layers) -> Body:
        """What was asked for, and what is due without."""
        names = sub.owed | sub.prompted
        sub.owed = sub.prompted = frozenset()
        return answers.named(sub, names, layers, self.variant) if names else Body()

    def _note_leaving(self, sub: Subscription, step: Step) -> None:
        for name in step.removed:
            if sub.wants(name):
                sub.leaving[name] = find(sub.sent_layers or (), name)
        if sub.leaving:
            for name in step.changed:
                sub.leaving.pop(name, None)

    def _prompt_endpoints(self, clusters: frozenset[str]) -> None:
        """Rule 4, for the clusters that have endpoints of their own."""
        endpoints, target = self.types.get(ResourceType.ENDPOINTS), self._target
        if target is None:
            return
        if endpoints is None:
            self._fresh |= clusters
            return
        layers = target.layers(ResourceType.ENDPOINTS)
        endpoints.prompted |= {name for name in clusters if find(layers, name) is not None}

    def _prompt_all_endpoints(self) -> None:
        """Every cluster is sent anew to a client that knows endpoints already: it refused its
        first clusters, or asked for endpoints before them."""
        endpoints, target = self.types.get(ResourceType.ENDPOINTS), self._target
        if endpoints is not None and target is not None:
            layers = target.layers(ResourceType.ENDPOINTS)
            endpoints.prompted |= steps.everything(layers).keys()

    # Clients that come back

    def _resume(self, sub: Subscription, layers: steps.Layers, version: str) -> None:
        """Rule 7: take the client at its word about what it has."""
        said, sub.resume = sub.resume, None
        if isinstance(said, Versions):
            self._resume_delta(sub, said, layers, version)
        elif said == version:
            sub.must_answer = False
            sub.sent = version
            sub.settle(layers, version)

    def _resume_delta(
        self, sub: Subscription, said: Versions, layers: steps.Layers, version: str
    ) -> None:
        step = answers.since_versions(said, layers)
        if sub.is_wildcard:
            sub.owed |= frozenset(step.changed)
            sub.leaving = dict.fromkeys(step.removed)
            sub.must_answer = False
            if sub.type is ResourceType.CLUSTER:
                self._prompt_endpoints(frozenset(step.changed))
        else:
            known = said.by_name.keys() - step.changed.keys() - set(step.removed)
            sub.owed -= known - self._fresh
        sub.settle(layers, version)

    # Removals

    def _remove(self, target: Snapshot, now: float) -> Response | None:
        """What is gone, once nothing that is to come before it is pending."""
        if not any(sub.leaving for sub in self.types.values()) or not self._is_settled(target):
            return None
        for type in REMOVAL_ORDER:
            sub = self.types.get(type)
            if sub is None or not sub.leaving or sub.is_outstanding:
                continue
            layers = target.layers(type)
            body = answers.without(sub, layers, self.variant)
            sub.leaving = {}
            if body.resources or body.removed or (sub.type.is_full_state and not body.is_void):
                return self._send(sub, layers, target, body, now)
        return None

    def _is_settled(self, target: Snapshot) -> bool:
        return all(
            target.layers(type) in (sub.sent_layers, sub.refused)
            for type, sub in self.types.items()
        )

    def _send(
        self,
        sub: Subscription,
        layers: steps.Layers | None,
        target: Snapshot,
        body: Body,
        now: float,
    ) -> Response:
        sub.nonce, sub.sent = self._nonce(), target.version(sub.type)
        sub.sent_layers, sub.is_outstanding, sub.since = layers, True, now
        encode = wire.delta_response if self.variant is Variant.DELTA else wire.sotw_response
        data = encode(body.data, sub.type.url, sub.sent, sub.nonce)
        return Response(sub.type, data, body.resources + body.removed)

    def _nonce(self) -> str:
        self._nonces += 1
        return str(self._nonces)
