"""What a request does to a subscription, in either variant.

State of the world: a request holds all names, and one with an older nonce is void. Delta: a request
holds names to add and to drop, which count whatever the nonce says.
"""

from __future__ import annotations

import msgspec

from pilot_xds.names import NO_NAMES, Names
from pilot_xds.subscription import Subscription
from pilot_xds.types import ResourceType
from pilot_xds.wire import Request

WILDCARD = "*"
_WILDCARD = frozenset((WILDCARD,))


class Heard(msgspec.Struct, frozen=True, gc=False):
    """What one request turned out to be. `waited` is seconds since the response it answers."""

    type: ResourceType | None = None
    is_ack: bool = False
    error: str = ""
    waited: float = 0.0


def hear_sotw(sub: Subscription, request: Request, *, is_first: bool, now: float) -> Heard:
    if is_first:
        _name_all(sub, request.subscribe)
        sub.must_answer = sub.type.is_full_state
        if sub.type.is_full_state and sub.is_wildcard:
            sub.resume = request.version or None
        return Heard(sub.type)
    if request.nonce and request.nonce != sub.nonce:
        # Stale: the client will say all of this again, with the newer nonce.
        return Heard(sub.type)
    heard = _answer_to_ours(sub, request, now)
    if request.subscribe is not sub.names:
        _name_all(sub, request.subscribe)
    return heard


def hear_delta(sub: Subscription, request: Request, *, is_first: bool, now: float) -> Heard:
    heard = Heard(sub.type)
    if is_first:
        sub.resume = request.versions
    elif request.nonce and request.nonce == sub.nonce:
        heard = _answer_to_ours(sub, request, now)
    elif request.error is not None:
        # A refusal of an older response: the words count, what was refused has been replaced.
        sub.error = request.error
        heard = Heard(sub.type, error=request.error)
    if request.subscribe or request.unsubscribe:
        _name_some(sub, request.subscribe, request.unsubscribe)
    elif is_first and sub.type.is_full_state:
        sub.is_wildcard = sub.must_answer = True
    return heard


def _answer_to_ours(sub: Subscription, request: Request, now: float) -> Heard:
    """An acknowledgement or a refusal of the last response."""
    waited = now - sub.since
    if request.error is not None:
        sub.refuse(request.error, now)
        return Heard(sub.type, error=request.error, waited=waited)
    if not request.nonce or not sub.is_outstanding:
        return Heard(sub.type)
    sub.acknowledge(now)
    return Heard(sub.type, is_ack=True, waited=waited)


def _name_all(sub: Subscription, names: Names) -> None:
    """State of the world: these are all the names now."""
    before, was_wildcard = sub.names, sub.is_wildcard
    sub.names = names
    if names:
        sub.is_legacy = False
        sub.is_wildcard = WILDCARD in names
    else:
        # An empty list means everything only as long as nothing has been named.
        sub.is_wildcard = sub.is_legacy and sub.type.is_full_state
    new = names.set - before.set - _WILDCARD
    if sub.type.is_full_state:
        sub.must_answer |= bool(new) or (sub.is_wildcard and not was_wildcard)
    else:
        sub.owed = (sub.owed | new) & names.set


def _name_some(sub: Subscription, add: Names, drop: Names) -> None:
    """Delta: these names more, and those fewer."""
    if WILDCARD in add:
        sub.must_answer |= not sub.is_wildcard
        sub.is_wildcard = True
    if WILDCARD in drop:
        sub.is_wildcard = False
    more, fewer = add.set - _WILDCARD, drop.set - _WILDCARD
    known = fewer & sub.names.set
    if sub.names is NO_NAMES and not fewer and WILDCARD not in add:
        sub.names = add
    else:
        sub.names = sub.names.step(more, fewer)
    sub.owed = (sub.owed | more) - (fewer - more)
    if sub.is_wildcard:
        # The one unsubscription that has to be answered: the name may be in the wildcard still.
        sub.owed |= known
