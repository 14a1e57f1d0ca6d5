"""What Diego runs, and what leads to it: events and lists in, instances by route out. Pure.

Rule 1: of two instances that claim one place, a process's index or an address, the one that was
started last has it; the other one serves nothing under any name.
Rule 2: an instance serves while it runs and is ready, its index is below what is desired, and
somebody desires it.
Rule 3: a process that is missing from a list stays while its domain is not fresh: then the BBS
itself does not know what has become of it.
Rule 4: a list that has lost a large share of the instances, without anybody having wished it, is
believed when the next one says the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Set

import msgspec
from msgspec.structs import replace

from pilot_adapter_cloudfoundry.lrp import (
    Desired,
    DesiredEvent,
    Event,
    Instance,
    InstanceEvent,
    Presence,
    Seen,
)
from pilot_adapter_cloudfoundry.versions import Versions

Place = tuple[str, int]


class Listing(msgspec.Struct, frozen=True):
    """The answers to one round of questions."""

    instances: tuple[Seen, ...]
    desired: tuple[Seen, ...]
    fresh: frozenset[str]
    """The domains whose desired processes are up to date."""


class _Round(msgspec.Struct):
    """A list that has been asked for: what was known then, and what has been heard since."""

    instances: dict[str, frozenset[str]]
    desired: dict[str, frozenset[str]]
    heard: list[Event]


class Diego:
    """`max_loss` is the share of instances of rule 4."""

    def __init__(self, max_loss: float = 0.5) -> None:
        self.changed: set[str] = set()
        """Processes that look different since somebody has emptied this."""
        self.troubles: dict[str, str] = {}
        """What of processes cannot be read."""
        self.is_holding = False
        """A list has been believed in part only: the next one decides."""
        self.unfresh: frozenset[str] = frozenset()
        """Domains of what is desired of which the last list did not tell everything."""
        self._max_loss = max_loss
        self._instances: Versions[Instance] = Versions()
        self._desired: Versions[Desired] = Versions()
        self._of: dict[str, set[str]] = defaultdict(set)
        self._at: dict[Place, set[str]] = defaultdict(set)
        self._places: dict[str, tuple[Place, ...]] = {}
        self._shown: dict[str, Instance] = {}
        self._wanted: dict[str, Desired] = {}
        self._round: _Round | None = None

    # What happens

    def take(self, event: Event) -> None:
        """One event of the stream."""
        if self._round is not None:
            self._round.heard.append(event)
        if isinstance(event, InstanceEvent):
            self._instances.take(event.what)
            self._show(event.what.key, self._instances.get(event.what.key))
        else:
            self._desired.take(event.what)
            self._want(event.what.key, self._desired.get(event.what.key))

    def ask(self) -> None:
        """A list is about to be asked for: what is heard from now on may be newer."""
        self._round = _Round(self._instances.epochs(), self._desired.epochs(), [])

    def listed(self, listing: Listing) -> None:
        """The list that was asked for."""
        asked, self._round = self._round, None
        assert asked is not None
        kept = self._unfresh(listing)
        desired = self._desired.listed(listing.desired, asked.desired, kept)
        held = self._unexplained(listing, desired)
        instances = self._instances.listed(listing.instances, asked.instances, held)
        for event in asked.heard:
            if isinstance(event, InstanceEvent):
                instances.take(event.what)
            else:
                desired.take(event.what)
        self.is_holding = bool(held)
        self.unfresh = frozenset(seen.value.domain for seen in listing.desired) - listing.fresh
        self._instances, self._desired = instances, desired
        for key in self._wanted.keys() | set(desired):
            self._want(key, desired.get(key))
        for key in self._shown.keys() | set(instances):
            self._show(key, instances.get(key))

    def found(self, desired: Iterable[Seen]) -> None:
        """Some processes that were asked for one by one."""
        for seen in desired:
            self.take(DesiredEvent(seen))

    # What there is

    @property
    def processes(self) -> Set[str]:
        return self._wanted.keys()

    def desired(self, process: str) -> Desired | None:
        return self._wanted.get(process)

    def knows(self, guid: str) -> bool:
        """Whether an instance is Diego's, be it one that has just gone."""
        return self._instances.has_heard(guid)

    def instance(self, guid: str) -> Instance | None:
        return self._shown.get(guid)

    def orphans(self) -> set[str]:
        """Processes that have instances, and of which it was never said what they are."""
        return {p for p in self._of if p not in self._wanted and not self._desired.has_heard(p)}

    def serving(self, process: str) -> list[Instance]:
        """The instances that take traffic, by index."""
        desired = self._wanted.get(process)
        if desired is None:
            return []
        ready = [i for i in self._running(process) if i.is_ready and i.index < desired.instances]
        newest: dict[int, Instance] = {}
        for instance in ready:
            if instance.presence is Presence.ORDINARY:
                newest[instance.index] = instance
        return sorted(
            (
                i
                for i in ready
                if (i.presence is not Presence.ORDINARY or newest[i.index] is i)
                and not self._is_displaced(i)
            ),
            key=lambda i: (i.index, i.presence, i.guid),
        )

    def _running(self, process: str) -> list[Instance]:
        """By age, the oldest first."""
        found = (self._shown[guid] for guid in self._of.get(process, ()))
        return sorted((i for i in found if i.is_running), key=_age)

    def _is_displaced(self, instance: Instance) -> bool:
        rivals = (self._at[place] for place in self._places[instance.guid])
        return any(
            len(guids) > 1 and max((self._shown[g] for g in guids), key=_age) is not instance
            for guids in rivals
        )

    # Keeping it

    def _show(self, guid: str, new: Instance | None) -> None:
        old = self._shown.get(guid)
        if old == new:
            return
        if old is not None:
            self._leave(old)
        if new is not None:
            self._enter(new)

    def _leave(self, old: Instance) -> None:
        del self._shown[old.guid]
        self._of[old.process].discard(old.guid)
        if not self._of[old.process]:
            del self._of[old.process]
        for place in self._places.pop(old.guid):
            self._at[place].discard(old.guid)
            self.changed.update(self._shown[guid].process for guid in self._at[place])
            if not self._at[place]:
                del self._at[place]
        self.changed.add(old.process)

    def _enter(self, new: Instance) -> None:
        self._shown[new.guid] = new
        self._of[new.process].add(new.guid)
        self._places[new.guid] = places(new)
        for place in self._places[new.guid]:
            self.changed.update(self._shown[guid].process for guid in self._at[place])
            self._at[place].add(new.guid)
        self.changed.add(new.process)

    def _want(self, process: str, new: Desired | None) -> None:
        old = self._wanted.get(process)
        self.troubles.pop(process, None)
        if new is not None and new.problem:
            # What cannot be read keeps what it said last.
            self.troubles[process] = new.problem
            if old is not None:
                new = replace(new, http=old.http, tcp=old.tcp, internal=old.internal)
        if old == new:
            return
        if new is None:
            del self._wanted[process]
        else:
            self._wanted[process] = new
        self.changed.add(process)

    def _unfresh(self, listing: Listing) -> list[str]:
        listed = {seen.key for seen in listing.desired}
        return [
            process
            for process, desired in self._wanted.items()
            if process not in listed and desired.domain not in listing.fresh
        ]

    def _unexplained(self, listing: Listing, desired: Versions[Desired]) -> list[str]:
        """The instances that are gone from the list while they are still desired, if they are so
        many that the list has to be confirmed first."""
        if self.is_holding:
            return []
        listed = {seen.key for seen in listing.instances}
        serving = [i for i in self._shown.values() if i.is_running and i.is_ready]
        lost = [i.guid for i in serving if i.guid not in listed and _is_wanted(i, desired)]
        return lost if len(lost) > self._max_loss * len(serving) else []


def places(instance: Instance) -> tuple[Place, ...]:
    """Every address and port at which a running instance is reached, as it says. Containers'
    addresses count within their cell: without an overlay network, every cell has the same."""
    if not instance.is_running:
        return ()
    inside = f"{instance.cell}/{instance.container_address}"
    seen: set[Place] = set()
    for port in instance.ports:
        if port.host:
            seen.add((instance.address, port.host))
        if port.host_tls:
            seen.add((instance.address, port.host_tls))
        if instance.container_address:
            seen.add((inside, port.container))
    return tuple(seen)


def _age(instance: Instance) -> tuple[int, str]:
    return (instance.since, instance.guid)


def _is_wanted(instance: Instance, desired: Versions[Desired]) -> bool:
    found = desired.get(instance.process)
    return found is not None and instance.index < found.instances
