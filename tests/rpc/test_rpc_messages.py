"""Messages in a stream of bytes, and what a call's end is written in."""

from __future__ import annotations

from urllib.parse import unquote

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilot_core.rpc.messages import Assembler, prefix
from pilot_core.rpc.status import Abort, Code, trailers

messages = st.lists(st.binary(max_size=40), max_size=8)
sizes = st.lists(st.integers(1, 30), min_size=1, max_size=8)


@given(messages, sizes)
def test_messages_are_the_same_however_they_are_cut(said, cuts):
    data = b"".join(prefix(len(m)) + m for m in said)
    assembler = Assembler(100)
    heard, at, turn = [], 0, 0
    while at < len(data):
        size = cuts[turn % len(cuts)]
        heard += assembler.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    assert (said, 0) == (heard, assembler.held)


def test_what_is_held_is_what_has_come():
    assembler = Assembler(100)
    assert [] == list(assembler.feed(prefix(10) + b"abc"))
    assert 8 == assembler.held
    assert [b"abcdefghij"] == list(assembler.feed(b"defghij" + prefix(5)))
    assert 5 == assembler.held


@pytest.mark.parametrize("whole", [True, False])
def test_a_length_that_is_too_large_is_refused_before_the_message_has_come(whole):
    data = prefix(101) + (bytes(101) if whole else b"")
    with pytest.raises(Abort, match="101 bytes, where 100 are taken") as raised:
        list(Assembler(100).feed(data))
    assert Code.RESOURCE_EXHAUSTED is raised.value.code


@pytest.mark.parametrize("flag", [1, 2, 255])
def test_a_message_with_a_flag_is_refused(flag):
    with pytest.raises(Abort) as raised:
        list(Assembler(100).feed(bytes([flag, 0, 0, 0, 1]) + b"x"))
    assert Code.UNIMPLEMENTED is raised.value.code


@given(st.sampled_from(Code), st.text(max_size=300))
def test_trailers_say_any_words(code, words):
    try:
        words.encode()
    except UnicodeEncodeError:
        return
    said = {n: v.decode() for n, v in hpack.Decoder().decode(trailers(code, words), raw=True)}
    assert str(int(code)) == said[b"grpc-status"]
    assert words == unquote(said.get(b"grpc-message", ""))
    assert said.get(b"grpc-message", "").isascii()
