"""The rules of blocking queries, listings and settings: no server needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilot_adapter_consul import listing
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.agent import Reply
from pilot_adapter_consul.lock import LockSettings
from pilot_adapter_consul.position import Pace, Position
from pilot_adapter_consul.scope import Scope
from pilot_adapter_consul.settings import ConsulConfig, LoginSettings
from pilot_adapter_consul.tokens import File
from pilot_core.adapter import ConfigError, Denied, Unavailable
from pilot_core.config import init


@pytest.mark.parametrize(
    ("said", "index"),
    [
        (["7"], 7),
        (["7", "9"], 9),
        (["9", "7"], 0),
        (["9", "7", "7"], 7),
        (["0"], 1),
        ([None], 1),
        (["nonsense"], 1),
        (["18446744073709551615"], 2**64 - 1),
    ],
)
def test_an_index_that_goes_back_starts_anew_once_and_none_counts_as_one(said, index):
    position = Position()
    for text in said:
        position.advance(text)

    assert index == position.index


def test_answers_without_end_are_taken_at_a_bounded_rate():
    pace, now, asked = Pace(), 100.0, 0
    while now < 110.0:
        now += pace.delay(now) + 0.001
        asked += 1

    assert 20 < asked <= 30


def test_a_watch_that_was_quiet_is_not_held_up():
    pace = Pace()

    assert [0.0, 0.0, 0.0] == [pace.delay(50.0 + 0.01 * n) for n in range(3)]


def _listing(*names: str, is_filtered: bool = False) -> listing.Listing:
    content = json.dumps({name: [] for name in names}).encode()
    return listing.read(Reply(content, "5", is_filtered, True), Scope())


def test_a_listing_without_consul_itself_comes_of_a_token_that_sees_nothing():
    assert {"consul", "web"} == _listing("consul", "web").names
    assert _listing("web", is_filtered=True).is_filtered
    for names in ((), ("web",)):
        with pytest.raises(Denied, match='service_prefix "" read'):
            _listing(*names)


def test_what_is_no_answer_of_consuls_is_an_outage():
    with pytest.raises(Unavailable, match="no answer of Consul's"):
        listing.read(Reply(b"<html>", "5", False, True), Scope())


@pytest.mark.parametrize(
    ("gone", "known", "expected"), [(5, 6, False), (6, 30, False), (7, 30, True), (6, 6, True)]
)
def test_many_services_gone_at_once_are_suspicious(gone, known, expected):
    names = [f"s{number}" for number in range(known)]

    assert expected is listing.is_suspicious(names[:gone], names)


def test_a_token_file_is_read_again_when_it_changes(tmp_path):
    file = tmp_path / "token"
    token = File(file)
    with pytest.raises(Unavailable, match="cannot be read: No such file"):
        token.headers()
    for text in ("first", "second"):
        beside = tmp_path / "new"
        beside.write_text(f"{text}\n")
        beside.rename(file)
        assert {"X-Consul-Token": text} == token.headers()
    file.write_text("two words and more")
    with pytest.raises(Unavailable, match="holds no token"):
        token.headers()


LOGIN = LoginSettings(auth_method="jwt", bearer_file=Path("token"))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"address": "ftp://host"}, "expected an address"),
        ({"address": "http://me:pw@host"}, "no user name"),
        ({"address": "http://host/v1"}, "expected an address"),
        ({"address": "host", "cert_file": "x"}, "go together"),
        ({"address": "host", "connections": 3}, "at least 20"),
        ({"address": "host", "kv": "/mesh/"}, "no key of Consul's"),
        ({"address": "host", "token_file": "x", "login": LOGIN}, "not both"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, problem):
    with pytest.raises(ConfigError, match=problem):
        ConsulConfig(**settings)


def test_an_address_may_be_written_as_consuls_own_variable_has_it():
    assert "http://127.0.0.1:8500" == ConsulConfig(address="127.0.0.1:8500").url
    assert "https://consul" == ConsulConfig(address="https://consul/").url


def test_a_first_configuration_takes_consuls_own_variable_and_names_the_policy_it_needs():
    text = init.sample(["consul"], adapter_types=lambda kind: Consul)

    assert 'address: "${CONSUL_HTTP_ADDR:-http://127.0.0.1:8500}"' in text
    for rule in ('service_prefix "" { policy = "read" }', 'node_prefix "" { policy = "read" }'):
        assert rule in text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"key": ""}, 'does not begin with "/" is needed, found ""'),
        ({"key": "/leader"}, 'found "/leader"'),
        ({"ttl": 9}, "a ttl of 10 to 86400 seconds, found 9"),
        ({"lock_delay": 61}, "a lock_delay of 0 to 60 s, found 61"),
    ],
)
def test_a_lock_that_consul_would_not_keep_is_refused_at_once(wrong, said):
    with pytest.raises(ValueError, match=said):
        LockSettings(**{"key": "leader", "holder": "me", **wrong})


def test_a_lock_may_be_as_short_and_as_long_as_consul_lets_it():
    short = LockSettings(key="leader", holder="me", ttl=10, lock_delay=0)
    long = LockSettings(key="leader", holder="me", ttl=86_400, lock_delay=60)

    assert (10, 86_400) == (short.ttl, long.ttl)
