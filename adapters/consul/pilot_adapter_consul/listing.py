"""Which services a scope has, and when to believe that some are gone.

Rule 1: an empty answer is not an empty catalogue. Consul registers itself as the service `consul`:
an answer without it, and without the mark that it is filtered, comes of a token that sees nothing.
Rule 2: only the listing takes services away, after the leader has confirmed it.
Rule 3: many at once are taken away only if the leader says the same again a while later.
Rule 4: the catalogue's listing knows nothing of peers; what a peer exports is in its peering, which
does not tell of changes, and says nothing while the peers are not connected.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote

import msgspec

from pilot_adapter_consul import entries
from pilot_adapter_consul.agent import Reply
from pilot_adapter_consul.reader import Reader
from pilot_adapter_consul.scope import Scope
from pilot_core.adapter import Denied, Unavailable

PATH = "/v1/catalog/services"
_CANARY = "consul"
_SHARE, _FEW = 0.2, 5


class Listing(msgspec.Struct, frozen=True):
    """The names of all services."""

    names: frozenset[str]
    is_filtered: bool
    has_leader: bool


def path(scope: Scope) -> str:
    """What to ask for."""
    return f"/v1/peering/{quote(scope.peer, safe='')}" if scope.peer else PATH


def read(reply: Reply, scope: Scope) -> Listing:
    """Raises Denied where the token sees nothing, Unavailable where it is no answer of Consul's or
    the peers are not connected."""
    if scope.peer:
        return Listing(_imported(reply, scope), is_filtered=False, has_leader=True)
    found = entries.read(entries.names, reply.content, PATH)
    names = frozenset(found)
    if scope.has_consul and _CANARY not in names and not reply.is_filtered:
        raise Denied(
            f'{len(names)} services are listed, and not "{_CANARY}" among them: the token sees '
            'less than there is (an unknown one sees nothing); it needs service_prefix "" read'
        )
    return Listing(names, reply.is_filtered, reply.has_leader)


def _imported(reply: Reply, scope: Scope) -> frozenset[str]:
    found = entries.read(entries.peering, reply.content, path(scope))
    imported = found.stream_status.imported_services if found.stream_status else None
    if imported is None:
        raise Unavailable(f"peer {scope.peer} is {found.state}, and imports nothing at the moment")
    return frozenset(imported)


async def confirm(reader: Reader) -> Listing:
    """What the leader says. Raises Unavailable where there is none, and Denied where the token
    sees nothing, also of the agent's own: a scope without Consul's own service tells nothing."""
    scope = reader.scope
    if not scope.has_consul:
        read(await reader.agent.read(PATH, is_decisive=True), Scope())
    said = read(await reader.ask(path(scope), is_decisive=True), scope)
    if not said.has_leader:
        raise Unavailable("something is gone from Consul's answers, and no leader confirms it")
    return said


def is_suspicious(gone: Collection[str], known: Collection[str]) -> bool:
    """More than a fifth of all, and more than a handful."""
    return len(gone) > max(_SHARE * len(known), _FEW)
