"""What a request does to a subscription, in either variant.

State of the world: a request holds all names, and one with an older nonce is void but for its
error. Delta: a request holds names to add and to drop, which count whatever the nonce says.
"""

from __future__ import annotations

import msgspec

from pilot_xds.names import NO_NAMES, Names
from pilot_xds.subscription import Subscription
from pilot_xds.types import ResourceType
from pilot_xds.wire import Request

WILDCARD = "*"
_WILDCARD = frozenset((WILDCARD,))
_NOTHING: frozenset[str] = frozenset()


class Heard(msgspec.Struct, frozen=True, gc=False):
    """What one request turned out to be. `waited` is seconds since the response it answers."""

    type: ResourceType | None = None
    is_ack: bool = False
    error: str = ""
    waited: float = 0.0


def hear_sotw(sub: Subscription, request: Request, *, is_first: bool, now: float) -> Heard:
    if is_first:
        _name_all(sub, request)
        sub.must_answer = sub.type.is_full_state
        if sub.type.is_full_state and sub.is_wildcard:
            sub.resume = request.version or None
        return Heard(sub.type)
    if request.nonce and request.nonce != sub.nonce:
        # Stale: the client will say all of this again, with the newer nonce; not so its error.
        return _answer_to_older(sub, request, now)
    heard = _answer_to_ours(sub, request, now)
    if request.subscribe is not sub.names:
        _name_all(sub, request)
    sub.spelling = request.spelling
    return heard


def hear_delta(sub: Subscription, request: Request, *, is_first: bool, now: float) -> Heard:
    heard = Heard(sub.type)
    if is_first:
        sub.resume = request.versions
    elif request.nonce and request.nonce == sub.nonce:
        heard = _answer_to_ours(sub, request, now)
    else:
        heard = _answer_to_older(sub, request, now)
    if request.subscribe or request.unsubscribe:
        _name_some(sub, request.subscribe, request.unsubscribe)
    elif is_first and sub.type.is_full_state:
        _want_all(sub)
    return heard


def _answer_to_ours(sub: Subscription, request: Request, now: float) -> Heard:
    """An acknowledgement or a refusal of the last response."""
    if not sub.is_outstanding or not request.nonce:
        return Heard(sub.type)
    waited = now - sub.since
    if request.error is not None:
        sub.is_outstanding = False
        sub.refuse(request.error, now)
        return Heard(sub.type, error=request.error, waited=waited)
    sub.acknowledge(now)
    return Heard(sub.type, is_ack=True, waited=waited)


def _answer_to_older(sub: Subscription, request: Request, now: float) -> Heard:
    """The answer to a response that another one has followed: a refusal counts nevertheless."""
    if request.error is None or not sub.is_outstanding:
        return Heard(sub.type)
    sub.refuse(request.error, sub.since)
    return Heard(sub.type, error=request.error, waited=now - sub.since)


def _name_all(sub: Subscription, request: Request) -> None:
    """State of the world: these are all the names now."""
    before, was_wildcard = sub.names, sub.is_wildcard
    sub.names, sub.spelling = request.subscribe, request.spelling
    if sub.names:
        sub.is_legacy = False
        sub.is_wildcard = WILDCARD in sub.names
    else:
        # An empty list means everything only as long as nothing has been named.
        sub.is_wildcard = sub.is_legacy and sub.type.is_full_state
    new = sub.names.set - before.set - _WILDCARD if before else _named(sub.names)
    is_widened = sub.is_wildcard and not was_wildcard
    if sub.type.is_full_state:
        sub.must_answer |= bool(new) or is_widened
    else:
        sub.owes_all = sub.is_wildcard and (sub.owes_all or is_widened)
    sub.owed = (sub.owed | new) & sub.names.set if sub.owed else new


def _name_some(sub: Subscription, add: Names, drop: Names) -> None:
    """Delta: these names more, and those fewer. What is in both is added."""
    if WILDCARD in drop:
        sub.is_wildcard = sub.owes_all = sub.must_answer = False
    if WILDCARD in add:
        _want_all(sub)
    more, fewer = _named(add), _named(drop) - add.set
    known = fewer & sub.names.set
    if sub.names is NO_NAMES and more is add.set:
        sub.names = add
    elif known or not more <= sub.names.set:
        sub.names = sub.names.step(more, known)
    sub.owed = (sub.owed | more) - fewer if sub.owed or fewer else more
    if sub.is_wildcard:
        # The one unsubscription that has to be answered: the name may be in the wildcard still.
        sub.owed |= known


def _want_all(sub: Subscription) -> None:
    if not sub.is_wildcard:
        sub.is_wildcard = sub.must_answer = sub.owes_all = True


def _named(names: Names) -> frozenset[str]:
    """The names without the wildcard: their own set, not a copy, wherever that is possible."""
    return names.set - _WILDCARD if WILDCARD in names else names.set
