"""One cluster's objects joined: which service has which endpoints, and who is there.

Rule 1: an endpoint whose pod is not known is not told: an endpoint without its identity would be
taken for somebody else. It comes with its pod.
Rule 2: an address belongs to the pod that says so last; no other pod's identity is told with it.
Rule 3: several slices make up one set: an endpoint in two of them is there once, and one that is
on its way from one to another does not go missing in between.
Rule 4: whatever changes, only the services that it concerns are made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pilot_adapter_kubernetes import convert, facts
from pilot_adapter_kubernetes.index import Index
from pilot_core.model import Endpoint, Endpoints, Record

HOLD = 3.0
"""Seconds that an endpoint which is in no slice is kept while its pod is alive and ready: slices
are written one after the other."""
_NAMES = "FQDN"
"""The deprecated address type of slices that hold DNS names."""

Told = dict[tuple[str, str], Endpoint]
"""Endpoints by (address, pod): pods on the host's network share addresses."""


class Draft:
    """An endpoint while the slices that mention it are gathered."""

    def __init__(self, entry: facts.SliceEndpoint, pod: facts.Pod | None) -> None:
        self.entry, self.pod = entry, pod
        self.addresses: list[str] = []
        self.ports: dict[str, int] = {}


class Catalogue:
    """Told of changes; knows which services are `dirty`, and makes their records."""

    def __init__(self, domain: str, dirty: Callable[[str], None]) -> None:
        self._domain, self._dirty = domain, dirty
        self._services: dict[str, facts.Service] = {}
        self._slices: dict[str, dict[str, facts.Slice]] = {}
        self._pods: dict[str, facts.Pod] = {}
        self._nodes: dict[str, facts.Node] = {}
        self._namespaces: set[str] | None = None
        """Those that are selected; None where all are."""
        self._at = Index()
        """Pods by address; those on the host's network own none."""
        self._on = Index()
        """Pods by node."""
        self._mentions = Index()
        """Slices by what they mention: `pod/NS/NAME`, `ip/ADDRESS`, `node/NAME`."""
        self._service_of: dict[str, str] = {}
        self._told: dict[str, Told] = {}
        self._held: dict[str, dict[tuple[str, str], float]] = {}
        self._pending: dict[str, int] = {}

    @property
    def pending(self) -> int:
        """Endpoints that wait for their pods."""
        return sum(self._pending.values())

    @property
    def keys(self) -> set[str]:
        """Every service there is, or that has endpoints."""
        return self._services.keys() | self._slices.keys()

    def has_service(self, key: str) -> bool:
        return key in self._services

    def pod_named(self, key: str) -> facts.Pod | None:
        return self._pods.get(key)

    def pods_on(self, node: str) -> Iterator[facts.Pod]:
        return (self._pods[key] for key in self._on.owners(node))

    def selects_namespaces(self) -> None:
        """From now on, only those that `namespace` tells of."""
        self._namespaces = set()

    def unhonoured(self, key: str) -> Iterator[str]:
        """What of the service and its slices has no effect, for people."""
        fact = self._services.get(key)
        if fact is not None:
            yield from convert.unhonoured(fact)
        for one in self._slices.get(key, {}).values():
            if one.address_type == _NAMES:
                yield f"slice {one.key} of the type {_NAMES} is not used: names are not resolved"

    # What happens

    def service(self, old: facts.Service | None, new: facts.Service | None) -> None:
        _replace(self._services, old, new)
        self._touch(old, new)

    def slice(self, old: facts.Slice | None, new: facts.Slice | None) -> None:
        for one in (old, new):
            if one is not None and one.service:
                self._dirty(one.service)
        if old is not None and old.service:
            slices = self._slices.get(old.service, {})
            slices.pop(old.key, None)
            if not slices:
                self._slices.pop(old.service, None)
            self._mentions.set(old.key, ())
            self._service_of.pop(old.key, None)
        if new is not None and new.service:
            self._slices.setdefault(new.service, {})[new.key] = new
            self._service_of[new.key] = new.service
            self._mentions.set(new.key, _mentioned(new))

    def pod(self, old: facts.Pod | None, new: facts.Pod | None) -> None:
        _replace(self._pods, old, new)
        known = new or old
        assert known is not None, "a change has a side"
        addresses = () if new is None or new.host_network else new.addresses
        self._at.set(known.key, addresses)
        self._on.set(known.key, (new.node,) if new is not None and new.node else ())
        self._mentioning(f"pod/{known.key}")
        for address in {a for one in (old, new) if one is not None for a in one.addresses}:
            self._mentioning(f"ip/{address}")

    def node(self, old: facts.Node | None, new: facts.Node | None) -> None:
        _replace(self._nodes, old, new)
        known = new or old
        assert known is not None, "a change has a side"
        self._mentioning(f"node/{known.key}")

    def namespace(self, old: facts.Namespace | None, new: facts.Namespace | None) -> None:
        known = new or old
        assert known is not None, "a change has a side"
        assert self._namespaces is not None, "namespaces are not selected"
        if new is None:
            self._namespaces.discard(known.key)
        else:
            self._namespaces.add(known.key)
        for key in self.keys:
            if key.startswith(f"{known.key}/"):
                self._dirty(key)

    def _touch(self, *facts_: facts.Service | None) -> None:
        for fact in facts_:
            if fact is not None:
                self._dirty(fact.key)

    def _mentioning(self, what: str) -> None:
        for key in self._mentions.owners(what):
            self._dirty(self._service_of[key])

    # What follows

    def records(self, key: str, now: float) -> tuple[tuple[Record, ...], bool]:
        """The service's records, and whether to ask again after HOLD seconds."""
        fact = self._services.get(key)
        if self._namespaces is not None and key.partition("/")[0] not in self._namespaces:
            self._forget(key)
            return (), False
        if fact is not None and convert.is_external(fact.spec):
            self._forget(key)
            return convert.external(fact, self._domain), False
        endpoints, holds = self._endpoints(key, fact, now)
        found: list[Record] = [] if fact is None else [convert.service(fact, self._domain)]
        if endpoints:
            name = convert.hostname(key, self._domain)
            found.append(Endpoints(hostname=name, endpoints=endpoints))
        return tuple(found), holds

    def _forget(self, key: str) -> None:
        self._told.pop(key, None)
        self._held.pop(key, None)
        self._pending.pop(key, None)

    def _endpoints(
        self, key: str, fact: facts.Service | None, now: float
    ) -> tuple[tuple[Endpoint, ...], bool]:
        fresh = {
            (endpoint.address, draft.pod.key if draft.pod else ""): endpoint
            for draft in self._drafts(key, fact)
            for endpoint in (self._made(draft, fact),)
        }
        kept = self._kept(key, fact, fresh, now)
        told = fresh | kept
        if told:
            self._told[key] = told
        else:
            self._told.pop(key, None)
        return tuple(told[who] for who in sorted(told)), bool(kept)

    def _drafts(self, key: str, fact: facts.Service | None) -> list[Draft]:
        drafts: dict[str, Draft] = {}
        pending = 0
        known = convert.ports_by_slice_name(fact.spec) if fact is not None else None
        for one in sorted(self._slices.get(key, {}).values(), key=_newest_first):
            if one.address_type == _NAMES:
                continue
            for entry in one.endpoints:
                said, pod = self._who(one, entry)
                pending += not said
                numbers = _numbers(one, known)
                if not said or (one.ports and not numbers):
                    continue
                draft = drafts.setdefault(pod.uid if pod else entry.address, Draft(entry, pod))
                if entry.address not in draft.addresses:
                    draft.addresses.append(entry.address)
                for name, number in numbers.items():
                    draft.ports.setdefault(name, number)
        if pending:
            self._pending[key] = pending
        else:
            self._pending.pop(key, None)
        return list(drafts.values())

    def _who(self, one: facts.Slice, entry: facts.SliceEndpoint) -> tuple[bool, facts.Pod | None]:
        """(is it certain?, the pod behind the entry if there is one)."""
        if not entry.pod:
            return True, None if entry.owned else self._alone_at(entry.address, one.key)
        pod = self._pods.get(entry.pod)
        if pod is None or (entry.pod_uid and entry.pod_uid != pod.uid):
            return False, None
        if one.by_controller and entry.address not in pod.addresses:
            return False, None
        return self._owns(pod, entry.address), pod

    def _alone_at(self, address: str, slice_key: str) -> facts.Pod | None:
        """The one pod of the slice's namespace with this address: a slice written by hand."""
        namespace = slice_key.partition("/")[0]
        pods = [self._pods[key] for key in self._at.owners(address)]
        alive = [pod for pod in pods if not pod.leaving]
        return alive[0] if len(alive) == 1 and alive[0].namespace == namespace else None

    def _owns(self, pod: facts.Pod, address: str) -> bool:
        """Nobody else has come to this address since."""
        if pod.host_network:
            return True
        others = (self._pods[k] for k in self._at.owners(address) if k != pod.key)
        return all(_age(other) < _age(pod) for other in others)

    def _made(self, draft: Draft, fact: facts.Service | None) -> Endpoint:
        families = fact.spec.ip_families if fact is not None else None
        first_is_v6 = bool(families) and families[0] == "IPv6"  # type: ignore[index]
        # mypy: `bool(families)` is the check for None.
        addresses = sorted(draft.addresses, key=lambda a: ((":" in a) != first_is_v6, a))
        node = self._nodes.get(draft.entry.node or (draft.pod.node if draft.pod else ""))
        return convert.endpoint(tuple(addresses), draft.ports, draft.entry, draft.pod, node)

    def _kept(self, key: str, fact: facts.Service | None, fresh: Told, now: float) -> Told:
        """What was told before, is in no slice now, and is alive all the same: for HOLD seconds."""
        before, since = self._told.get(key, {}), self._held.get(key, {})
        present = {pod for _, pod in fresh if pod}
        kept = {
            who: endpoint
            for who, endpoint in before.items()
            if who not in fresh
            and who[1] not in present
            and self._is_on_its_way(endpoint, who[1], fact)
            and now - since.get(who, now) < HOLD
        }
        if kept:
            self._held[key] = {who: since.get(who, now) for who in kept}
        else:
            self._held.pop(key, None)
        return kept

    def _is_on_its_way(self, endpoint: Endpoint, key: str, fact: facts.Service | None) -> bool:
        pod = self._pods.get(key)
        if pod is None or fact is None or pod.leaving or not pod.ready:
            return False
        if endpoint.address not in pod.addresses or not self._owns(pod, endpoint.address):
            return False
        selector = fact.spec.selector
        return bool(selector) and selector.items() <= dict(pod.labels).items()  # type: ignore[union-attr]
        # mypy: `bool(selector)` is the check for None.


def _mentioned(one: facts.Slice) -> Iterator[str]:
    for entry in one.endpoints:
        yield f"ip/{entry.address}"
        if entry.pod:
            yield f"pod/{entry.pod}"
        if entry.node:
            yield f"node/{entry.node}"


def _numbers(one: facts.Slice, known: dict[str, tuple[str, int]] | None) -> dict[str, int]:
    """Of the service's ports; before the service is known, of all that have a name and a number."""
    if known is not None:
        return convert.numbers(one.ports or (), known)
    return {p.name: p.port for p in one.ports or () if p.name and p.port}


def _newest_first(one: facts.Slice) -> tuple[int, str]:
    return -one.version, one.key


def _age(pod: facts.Pod) -> tuple[bool, str]:
    """Later is greater; who leaves is older than who stays."""
    return not pod.leaving, pod.created


def _replace(table: dict[str, Any], old: Any, new: Any) -> None:
    if new is not None:
        table[new.key] = new
    elif old is not None:
        table.pop(old.key, None)
