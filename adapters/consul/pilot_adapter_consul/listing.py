"""Which services a scope has, and when to believe that some are gone.

Rule 1: an empty answer is not an empty catalogue. Consul registers itself as the service `consul`:
an answer without it, and without the mark that it is filtered, comes of a token that sees nothing.
Rule 2: only the listing takes services away, after the leader has confirmed it.
Rule 3: many at once are taken away only if the leader says the same again a while later.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from pilot_adapter_consul import entries
from pilot_adapter_consul.agent import Reply
from pilot_adapter_consul.reader import Reader
from pilot_core.adapter import Denied, Unavailable

PATH = "/v1/catalog/services"
_CANARY = "consul"
_SHARE, _FEW = 0.2, 5


class Listing(msgspec.Struct, frozen=True):
    """The names of all services."""

    names: frozenset[str]
    is_filtered: bool
    has_leader: bool


def read(reply: Reply, *, has_consul: bool = True) -> Listing:
    """Raises Denied where the token sees nothing, Unavailable where it is no answer of Consul's."""
    found = entries.read(entries.names, reply.content, PATH)
    names = frozenset(found)
    if has_consul and _CANARY not in names and not reply.is_filtered:
        raise Denied(
            f'{len(names)} services are listed, and not "{_CANARY}" among them: the token sees '
            'less than there is (an unknown one sees nothing); it needs service_prefix "" read'
        )
    return Listing(names, reply.is_filtered, reply.has_leader)


async def confirm(reader: Reader) -> Listing:
    """What the leader says. Raises Unavailable where there is none, and Denied where the token
    sees nothing, also of the agent's own: a scope without Consul's own service tells nothing."""
    scope = reader.scope
    if not scope.has_consul:
        read(await reader.agent.read(PATH, is_decisive=True))
    said = read(await reader.ask(PATH, is_decisive=True), has_consul=scope.has_consul)
    if not said.has_leader:
        raise Unavailable("something is gone from Consul's answers, and no leader confirms it")
    return said


def is_suspicious(gone: Collection[str], known: Collection[str]) -> bool:
    """More than a fifth of all, and more than a handful."""
    return len(gone) > max(_SHARE * len(known), _FEW)
