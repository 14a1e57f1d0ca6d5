"""Which services a datacentre has, and when to believe that some are gone.

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
from pilot_core.adapter import Denied, Unavailable

PATH = "/v1/catalog/services"
_CANARY = "consul"
_SHARE, _FEW = 0.2, 5


class Listing(msgspec.Struct, frozen=True):
    """The names of all services."""

    names: frozenset[str]
    is_filtered: bool
    has_leader: bool


def read(reply: Reply) -> Listing:
    """Raises Denied where the token sees nothing, Unavailable where it is no answer of Consul's."""
    try:
        names = frozenset(entries.names.decode(reply.content))
    except msgspec.MsgspecError as error:
        raise Unavailable(f"{PATH}: this is no answer of Consul's: {error}") from None
    if _CANARY not in names and not reply.is_filtered:
        raise Denied(
            f'{len(names)} services are listed, and not "{_CANARY}" among them: the token sees '
            'less than there is (an unknown one sees nothing); it needs service_prefix "" read'
        )
    return Listing(names, reply.is_filtered, reply.has_leader)


def is_suspicious(gone: Collection[str], known: Collection[str]) -> bool:
    """More than a fifth of all, and more than a handful."""
    return len(gone) > max(_SHARE * len(known), _FEW)
