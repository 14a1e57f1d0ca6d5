"""Whatever is said, in whatever pieces: never an exception, always an answer that is HTTP/2."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

import http2_talk
from http2_talk import ENDS, POST, WHOLE, Talk, block, frame, over
from pilot_core.http2 import frames
from pilot_core.http2.events import Data, Request, Reset
from pilot_core.http2.fields import STATUS_200
from pilot_core.http2.limits import Limits

OPENING = frames.PREFACE + http2_talk.settings()
names = st.sampled_from([name for name, _ in POST] + ["x", ":x", "Upper", "content-length", ""])
values = st.one_of(st.sampled_from(["POST", "/", "5", "trailers", ""]), st.text(max_size=5))
blocks = st.one_of(
    st.just(block()),
    st.lists(st.tuples(names, values), max_size=6).map(block),
    st.binary(max_size=40),
)
streams = st.one_of(st.sampled_from([0, 1, 2, 3, 5, 7]), st.integers(0, 2**31 - 1))
payloads = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([bytes(4), bytes(8), b"\x00\x00\xff\xff", b"\x7f\xff\xff\xff", bytes(6)]),
    st.binary(min_size=6, max_size=6).map(lambda raw: b"\x00" + bytes([raw[0] % 8]) + raw[2:]),
)
some_frames = st.one_of(
    st.builds(frame, st.integers(0, 12), st.integers(0, 255), streams, payloads),
    st.builds(frame, st.sampled_from([1, 9]), st.integers(0, 63), streams, blocks),
    st.builds(lambda s: frame(frames.HEADERS, WHOLE, s, block()), st.sampled_from([1, 3, 5, 7])),
    st.builds(lambda s, d: frame(frames.DATA, 0, s, d), st.sampled_from([1, 3, 5]), st.binary()),
    st.builds(lambda s: frame(frames.DATA, ENDS, s), st.sampled_from([1, 3, 5])),
    st.binary(max_size=20),
)
sizes = st.lists(st.integers(1, 60), min_size=1, max_size=10)


def serve(talk, event):
    """What a server does that answers everybody, at once, and breaks off every third."""
    server = talk.server
    if isinstance(event, Data):
        server.credit(event.stream, event.size)
        room = server.room(event.stream)
        if room > 3:
            server.send_headers(event.stream, STATUS_200)
            server.send_data(event.stream, [b"abc"], 3)
        if event.is_end:
            server.finish(event.stream, b"")
    elif isinstance(event, Request) and event.stream % 3 == 0:
        server.finish(event.stream, STATUS_200)


@settings(max_examples=400, deadline=None)
@given(st.lists(some_frames, max_size=25), sizes, st.booleans())
def test_no_bytes_are_too_much(said, cuts, is_greeted):
    talk = Talk(Limits(streams=2, stream_window=200), is_greeted=False)
    data = (OPENING if is_greeted else b"") + b"".join(said)
    at, turn, events = 0, 0, []
    while at < len(data):
        size = cuts[turn % len(cuts)]
        heard = talk.say(data[at : at + size])
        for event in heard:
            serve(talk, event)
        events += heard
        at, turn = at + size, turn + 1
    kinds = [f.kind for f in talk.hear()]
    assert talk.server.is_over == (over(events) is not None)
    assert talk.server.is_over == (frames.GOAWAY in kinds)
    assert talk.server.streams <= 2


@settings(max_examples=200, deadline=None)
@given(st.lists(some_frames, max_size=20), sizes)
def test_how_the_bytes_are_cut_makes_no_difference(said, cuts):
    whole, pieces = Talk(), Talk()
    data = b"".join(said)
    once = whole.say(data)
    at, turn, again = 0, 0, []
    while at < len(data):
        size = cuts[turn % len(cuts)]
        again += pieces.say(data[at : at + size])
        at, turn = at + size, turn + 1
    assert once == again
    assert whole.hear() == pieces.hear()


@settings(max_examples=200, deadline=None)
@given(st.lists(some_frames, max_size=25))
def test_streams_are_told_of_from_their_request_to_their_end(said):
    talk = Talk()
    open_ones = set()
    for event in talk.say(*said):
        if isinstance(event, Request):
            assert event.stream not in open_ones
            open_ones.add(event.stream)
        elif isinstance(event, Data):
            assert event.stream in open_ones
        elif isinstance(event, Reset):
            open_ones.remove(event.stream)
    if not talk.server.is_over:
        assert len(open_ones) == talk.server.streams
