"""Long lists are recognized in any order, and nothing else is taken for them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilot_xds.lists import Lists
from pilot_xds.protos import DeltaDiscoveryRequest
from pilot_xds.wire import Malformed, Reader, field

_TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
# Of every length, those that are a tag's own number (26, 42) among them.
_NAMES = [f"outbound|80||{'x' * (n % 60)}{n}.bench.mesh" for n in range(200)]
_VERSIONS = {name: f"{n:016x}" for n, name in enumerate(_NAMES)}


def request(names: list[str], versions: dict[str, str], seed: int = 0) -> bytes:
    """As an Envoy writes it, in an order of its own."""
    order = random.Random(seed)
    said = [field(3, name.encode()) for name in names]
    has = [field(5, field(1, n.encode()) + field(2, v.encode())) for n, v in versions.items()]
    order.shuffle(said)
    order.shuffle(has)
    return field(2, _TYPE.encode()) + b"".join(said) + b"".join(has)


def test_clients_that_say_the_same_in_another_order_share_what_it_means() -> None:
    reader = Reader()
    first, _ = reader.delta(request(_NAMES, _VERSIONS, seed=1))
    second, _ = reader.delta(request(_NAMES, _VERSIONS, seed=2))
    assert second.subscribe is first.subscribe
    assert second.versions is first.versions
    assert second.versions is not None
    assert (second.subscribe.set, second.versions.by_name) == (frozenset(_NAMES), _VERSIONS)


def test_a_name_more_or_a_version_that_differs_is_not_taken_for_the_known_list() -> None:
    reader = Reader()
    reader.delta(request(_NAMES, _VERSIONS))
    more, _ = reader.delta(request([*_NAMES, "one more"], _VERSIONS))
    other, _ = reader.delta(request(_NAMES, _VERSIONS | {_NAMES[3]: "another"}))
    fewer, _ = reader.delta(request(_NAMES[1:], _VERSIONS))
    assert more.subscribe.set == {*_NAMES, "one more"}
    assert other.versions is not None
    assert other.versions.by_name[_NAMES[3]] == "another"
    assert fewer.subscribe.set == frozenset(_NAMES[1:])


def test_what_follows_a_known_list_is_heard() -> None:
    reader = Reader()
    reader.delta(request(_NAMES, _VERSIONS))
    answer, _ = reader.delta(request(_NAMES, _VERSIONS) + field(6, b"nonce"))
    refusal, _ = reader.delta(request(_NAMES, _VERSIONS) + field(7, field(2, b"no")))
    dropped = field(2, _TYPE.encode()) + b"".join(field(4, n.encode()) for n in _NAMES)
    gone, _ = reader.delta(dropped)
    assert (answer.nonce, refusal.error) == ("nonce", "no")
    assert gone.unsubscribe.set == frozenset(_NAMES)


def test_a_known_list_that_breaks_off_is_malformed() -> None:
    reader = Reader()
    reader.delta(request(_NAMES, {}))
    with pytest.raises(Malformed):
        reader.delta(request(_NAMES, {})[:-3])


def test_pieces_that_mean_something_else_in_another_order_are_not_kept() -> None:
    # A tag inside a name cuts it in two, and halves of names can be put together otherwise.
    entries = [field(5, field(1, name) + field(2, b"v")) for name in (b"a*b", b"c*d")]
    lists: Lists[str] = Lists(0x2A, 1000, is_map=True)
    lists.keep(b"".join(entries), "a*b, c*d")
    assert lists.find(b"".join(entries)) is None


def test_the_oldest_list_is_forgotten_when_there_is_no_room() -> None:
    lists: Lists[int] = Lists(0x1A, 40)
    said = [b"".join(field(3, f"{n}-{m}".encode()) for m in range(3)) for n in range(4)]
    for number, data in enumerate(said):
        lists.keep(data, number)
    assert [lists.find(data) for data in said] == [None, None, 2, 3]


_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=140)
_names = st.lists(_text, min_size=40, max_size=80, unique=True)


@given(_names, st.dictionaries(_text, _text, max_size=20), st.integers(0, 9))
def test_what_is_recognized_is_what_protobuf_reads(
    names: list[str], versions: dict[str, str], seed: int
) -> None:
    reader = Reader()
    for data in (request(names, versions), request(names, versions, seed)):
        heard, _ = reader.delta(data)
        message = DeltaDiscoveryRequest.FromString(data)
        assert heard.subscribe.set == frozenset(message.resource_names_subscribe)
        said = heard.versions.by_name if heard.versions else {}
        assert said == dict(message.initial_resource_versions)
