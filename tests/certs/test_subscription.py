"""An SDS stream as a state machine: what it owes, and what it has heard."""

from __future__ import annotations

from typing import Any

import pytest

from pilot_certs.agent.secrets import Encoded
from pilot_certs.agent.subscription import MOST_NAMES, Subscription
from pilot_certs.messages import DeltaDiscoveryRequest, DiscoveryRequest
from pilot_certs.refusal import InvalidRequest

VERSIONS = {"default": "1", "ROOTCA": "1"}


def _find(name: str) -> Encoded | None:
    version = VERSIONS.get(name)
    return Encoded(name, version, b"") if version else None


def _owed(subscription: Subscription, **versions: str) -> list[str]:
    known = VERSIONS | versions
    found = subscription.owed(lambda n: Encoded(n, known[n], b"") if n in known else None)
    return [secret.name for secret in found]


def _asked(*names: str, **fields: Any) -> Any:
    return DiscoveryRequest(resource_names=names, **fields)


def _answered(subscription: Subscription, *names: str, **fields: Any) -> str:
    """Subscribe to these, send them, and hear that they arrived."""
    subscription.sotw(_asked(*names))
    nonce = subscription.sending(subscription.owed(_find))
    subscription.sotw(_asked(*names, response_nonce=nonce, **fields))
    return nonce


def test_what_was_sent_is_not_sent_again() -> None:
    subscription = Subscription()
    _answered(subscription, "default", "ROOTCA")

    assert [] == _owed(subscription)
    assert ["ROOTCA"] == _owed(subscription, ROOTCA="2")
    assert VERSIONS == subscription.acked


def test_a_refused_secret_is_not_repeated_until_it_changes() -> None:
    subscription = Subscription()
    _answered(subscription, "default", error_detail={"message": "KEY_VALUES_MISMATCH"})

    assert "KEY_VALUES_MISMATCH" == subscription.error
    assert {} == subscription.acked
    assert [] == _owed(subscription)
    assert ["default"] == _owed(subscription, default="2")


def test_an_answer_to_nothing_acknowledges_nothing() -> None:
    subscription = Subscription()
    subscription.sotw(_asked("default"))
    subscription.sending(subscription.owed(_find))
    subscription.sotw(_asked("default", response_nonce="no such"))

    assert {} == subscription.acked


def test_what_is_not_there_yet_is_owed_once_it_is() -> None:
    subscription = Subscription()
    subscription.sotw(_asked("later"))

    assert [] == _owed(subscription)
    assert ["later"] == _owed(subscription, later="1")


def test_a_name_that_is_not_wanted_any_more_is_forgotten() -> None:
    subscription = Subscription()
    _answered(subscription, "default", "ROOTCA")
    subscription.sotw(_asked("ROOTCA"))

    assert not subscription.wants("default")
    assert [] == _owed(subscription, default="2")
    assert {"ROOTCA": "1"} == subscription.acked


def test_a_delta_subscription_grows_shrinks_and_can_be_repeated() -> None:
    subscription = Subscription()
    subscription.delta(DeltaDiscoveryRequest(resource_names_subscribe=["default"]))
    subscription.sending(subscription.owed(_find))
    subscription.delta(DeltaDiscoveryRequest(resource_names_subscribe=["ROOTCA"]))
    assert ["ROOTCA"] == _owed(subscription)

    subscription.delta(DeltaDiscoveryRequest(resource_names_subscribe=["default"]))
    assert ["default", "ROOTCA"] == _owed(subscription)

    subscription.delta(DeltaDiscoveryRequest(resource_names_unsubscribe=["default", "ROOTCA"]))
    assert [] == _owed(subscription)


def test_nobody_asks_for_more_than_makes_sense() -> None:
    names = [str(number) for number in range(MOST_NAMES + 1)]

    with pytest.raises(InvalidRequest):
        Subscription().sotw(_asked(*names))
    with pytest.raises(InvalidRequest):
        Subscription().delta(DeltaDiscoveryRequest(resource_names_subscribe=names))
