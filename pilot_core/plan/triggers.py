"""What a change touches, in words: layers watch these, and a change that touches none of a layer's
words never asks it."""

from __future__ import annotations

from collections.abc import Iterator

from pilot_core.model import Delta, Inbound, RecordKey, Roots, Trust, World
from pilot_core.plan import names

ANYTHING_PUBLIC = "*"
ANY_ROOTS = "roots"
ANY_INBOUND = "inbound"


def in_namespace(namespace: str) -> str:
    """The trigger of services that this namespace sees, and not everybody."""
    return f"namespace/{namespace}"


def named(hostname: str) -> str:
    """The trigger of services with this hostname, or this first label."""
    return f"host/{hostname}"


def inbound_in(namespace: str) -> str:
    """The trigger of what is said of who may connect in this namespace; empty: in the mesh."""
    return f"inbound/{namespace}"


def at_address(address: str) -> str:
    """The trigger of whatever is at this address."""
    return f"address/{address}"


def of_change(old: World, new: World, delta: Delta) -> frozenset[str]:
    """What a change touches, in the words that layers watch."""
    touched = {at_address(address) for address in delta.addresses}
    if changes_of(Roots, delta):
        touched.add(ANY_ROOTS)
    touched.update(_inbound_triggers((old, new), delta))
    for hostname in delta.hostnames:
        touched.add(named(hostname))
        touched.add(named(names.short_name(hostname) or hostname))
        for world in (old, new):
            service = world.service(hostname)
            if service is not None:
                touched.update(
                    ANYTHING_PUBLIC if who == "*" else in_namespace(who)
                    for who in service.audience()
                )
    return frozenset(touched)


def changes_of(kind: type[Trust], delta: Delta) -> list[RecordKey]:
    """The keys of that kind that have changed."""
    return [key for key in delta.policies if key[0] == kind.kind]


def _inbound_triggers(worlds: tuple[World, World], delta: Delta) -> Iterator[str]:
    for key in changes_of(Inbound, delta):
        yield ANY_INBOUND
        said = [claim.record for world in worlds for claim in world.policies.get(key) or ()]
        for record in said:
            if isinstance(record, Inbound):
                yield inbound_in(record.namespace)
