"""A connection that goes well: requests, data, windows, ends."""

from __future__ import annotations

import hpack
import pytest

from http2_talk import ENDS, POST, WHOLE, Frame, Talk, block, frame, headers, settings, window
from pilot_core.http2 import frames
from pilot_core.http2.errors import ErrorCode
from pilot_core.http2.events import Data, Ponged, Request, Reset, WindowOpened
from pilot_core.http2.fields import STATUS_200, literal, status
from pilot_core.http2.limits import Limits

OK = STATUS_200 + literal(b"x", b"y")
SAID = tuple((name.encode(), value.encode()) for name, value in POST)


def opened(*streams, limits=None):
    """A connection with these streams open, whose requests have not ended."""
    talk = Talk(limits)
    talk.say(*(headers(stream) for stream in streams))
    talk.hear()
    return talk


def test_the_server_says_its_limits_before_it_is_asked():
    talk = Talk(is_greeted=False)
    limits, grown = talk.hear()
    said = frames.read_settings(limits.payload)
    assert (frames.SETTINGS, {3: 100, 4: 256 << 10, 6: 16 << 10}) == (limits.kind, said)
    assert Frame(frames.WINDOW_UPDATE, 0, 0, ((1 << 20) - 65_535).to_bytes(4, "big")) == grown


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_a_request_in_whatever_pieces_is_one_request(size):
    talk = Talk(is_greeted=False)
    said = frames.PREFACE + settings() + headers(1) + frame(frames.DATA, ENDS, 1, b"hello")
    events = [e for at in range(0, len(said), size) for e in talk.say(said[at : at + size])]
    assert [Request(1, SAID, False), Data(1, b"hello", 5, True)] == events
    assert talk.server.is_greeted


def test_settings_are_acknowledged_and_pings_answered():
    talk = Talk()
    talk.say(settings({5: 1 << 20}), frame(frames.PING, 0, 0, b"12345678"))
    acked, ponged = talk.hear()
    assert Frame(frames.SETTINGS, frames.ACK, 0) == acked
    assert Frame(frames.PING, frames.ACK, 0, b"12345678") == ponged


def test_the_answer_to_our_own_ping_is_told():
    talk = Talk()
    talk.server.ping(b"are you?")
    assert [Frame(frames.PING, 0, 0, b"are you?")] == talk.hear()
    assert [Ponged(b"are you?")] == talk.say(frame(frames.PING, frames.ACK, 0, b"are you?"))


def test_a_header_block_may_come_in_several_frames_with_padding_and_priority():
    talk = Talk()
    said = block()
    first = b"\x04" + b"\x00\x00\x00\x00\x10" + said[:20] + b"pads"
    flags = frames.PADDED | frames.WITH_PRIORITY
    events = talk.say(
        frame(frames.HEADERS, flags, 1, first),
        frame(frames.CONTINUATION, 0, 1, said[20:25]),
        frame(frames.CONTINUATION, WHOLE, 1, said[25:]),
    )
    assert [Request(1, SAID, False)] == events


def test_padding_is_not_data_but_uses_the_window():
    talk = opened(1)
    events = talk.say(frame(frames.DATA, frames.PADDED, 1, b"\x03helloxxx"))
    assert [Data(1, b"hello", 9, False)] == events


def test_header_fields_that_the_client_has_us_remember_are_remembered():
    encoder = hpack.Encoder()
    talk = Talk()
    for stream in (1, 3, 5):
        said = encoder.encode(list(POST), huffman=True)
        (event,) = talk.say(frame(frames.HEADERS, WHOLE, stream, said))
        assert Request(stream, SAID, False) == event
    assert len(said) < 10


def test_trailers_end_a_request():
    talk = opened(1)
    assert [Data(1, b"", 0, True)] == talk.say(headers(1, [("grpc-x", "y")], WHOLE | ENDS))


def test_a_response_is_headers_data_and_trailers():
    talk = Talk()
    talk.say(headers(1, flags=WHOLE | ENDS))
    talk.hear()
    talk.server.send_headers(1, OK)
    talk.server.send_data(1, [b"he", b"llo"], 5)
    talk.server.finish(1, literal(b"grpc-status", b"0"))
    first, data, last = talk.hear()
    assert ({":status": "200", "x": "y"}, WHOLE) == (talk.fields(first), first.flags)
    assert Frame(frames.DATA, 0, 1, b"hello") == data
    assert ({"grpc-status": "0"}, WHOLE | ENDS) == (talk.fields(last), last.flags)
    assert 0 == talk.server.streams


def test_a_response_that_ends_before_its_request_says_that_no_more_is_wanted():
    talk = opened(1)
    talk.server.finish(1, status(404))
    last, reset = talk.hear()
    assert {":status": "404"} == talk.fields(last)
    assert Frame(frames.RST_STREAM, 0, 1, bytes(4)) == reset
    # The client may not know yet: what it still says is taken for nothing.
    assert [] == talk.say(frame(frames.DATA, 0, 1, b"more"), headers(1, [], WHOLE | ENDS))
    assert [] == talk.say(window(1, 10), frame(frames.RST_STREAM, 0, 1, bytes(4)))
    assert [Request(3, SAID, False)] == talk.say(headers(3))


def test_a_client_may_break_a_stream_off():
    talk = opened(1, 3)
    code = ErrorCode.CANCEL.to_bytes(4, "big")
    (event,) = talk.say(frame(frames.RST_STREAM, 0, 1, code))
    assert (Reset, 1, ErrorCode.CANCEL) == (type(event), event.stream, event.code)
    assert 1 == talk.server.streams


@pytest.mark.parametrize("number", [99, 2**32 - 1])
def test_a_code_that_nobody_knows_is_an_error_like_another(number):
    talk = opened(1)
    (event,) = talk.say(frame(frames.RST_STREAM, 0, 1, number.to_bytes(4, "big")))
    assert ErrorCode.INTERNAL_ERROR is event.code


def test_what_is_sent_uses_the_windows_of_the_stream_and_the_connection():
    talk = opened(1, 3)
    assert 65_535 == talk.server.room(1)
    talk.server.send_data(1, [bytes(60_000)], 60_000)
    assert (5_535, 5_535) == (talk.server.room(1), talk.server.room(3))
    assert [WindowOpened(0)] == talk.say(window(0, 100_000))
    assert (5_535, 65_535) == (talk.server.room(1), talk.server.room(3))
    assert [WindowOpened(1)] == talk.say(window(1, 10))
    assert 5_545 == talk.server.room(1)
    assert 0 == talk.server.room(99)


def test_data_is_cut_to_the_frames_that_the_client_takes():
    talk = opened(1)
    talk.say(window(0, 1 << 20), window(1, 1 << 20))
    parts = [b"a" * 20_000, memoryview(b"b" * 20_000), b"c"]
    talk.server.send_data(1, parts, 40_001)
    heard = talk.hear()
    assert [16_384, 16_384, 7_233] == [len(f.payload) for f in heard]
    assert b"".join(parts) == b"".join(f.payload for f in heard)
    talk.say(settings({5: 1 << 16}))
    talk.hear()
    talk.server.send_data(1, parts, 40_001)
    assert [40_001] == [len(f.payload) for f in talk.hear()]


def test_a_client_may_change_the_window_of_all_its_streams_even_below_nothing():
    talk = opened(1)
    talk.server.send_data(1, [bytes(1_000)], 1_000)
    talk.say(settings({4: 500}))
    assert 0 == talk.server.room(1)
    assert [WindowOpened(0)] == talk.say(settings({4: 1_600}))
    assert 600 == talk.server.room(1)
    talk.say(headers(3))
    assert 1_600 == talk.server.room(3)


def test_what_is_taken_may_be_sent_again():
    talk = opened(1, limits=Limits(stream_window=1_000, connection_window=70_000))
    for _ in range(200):
        (event,) = talk.say(frame(frames.DATA, 0, 1, bytes(900)))
        talk.server.credit(1, event.size)
    granted = {0: 0, 1: 0}
    for heard in talk.hear():
        granted[heard.stream] += int.from_bytes(heard.payload, "big")
    assert 180_000 == granted[1]
    assert 180_000 - 35_000 <= granted[0] <= 180_000


def test_frames_of_unknown_types_and_settings_nobody_knows_are_ignored():
    talk = Talk()
    assert [] == talk.say(frame(99, 0xFF, 7, b"whatever"), settings({77: 1}))
    assert [Request(1, SAID, False)] == talk.say(headers(1))


def test_a_client_that_asks_for_a_smaller_header_table_is_told_that_it_is_empty():
    talk = Talk()
    talk.say(settings({1: 0}), headers(1, flags=WHOLE | ENDS), headers(3, flags=WHOLE | ENDS))
    talk.hear()
    for stream in (1, 3):
        talk.server.finish(stream, OK)
    first, second = talk.hear()
    assert (0x20, STATUS_200[0]) == (first.payload[0], second.payload[0])
    assert talk.fields(first) == talk.fields(second)


def test_a_server_that_goes_away_takes_no_new_streams_and_finishes_the_old_ones():
    talk = opened(1)
    talk.server.go_away(ErrorCode.NO_ERROR, "bye")
    (heard,) = talk.hear()
    assert (frames.GOAWAY, bytes((0, 0, 0, 1, 0, 0, 0, 0)) + b"bye") == (heard.kind, heard.payload)
    assert [] == talk.say(headers(3))
    assert [(3, ErrorCode.REFUSED_STREAM)] == talk.resets()
    assert [Data(1, b"x", 1, False)] == talk.say(frame(frames.DATA, 0, 1, b"x"))


def test_header_fields_that_are_too_much_are_told_without_them():
    talk = Talk()
    (event,) = talk.say(headers(1, [*POST, ("authorization", "x" * 16_300)]))
    assert Request(1, (), False, is_too_long=True) == event
    assert [Request(3, SAID, False)] == talk.say(headers(3))


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 254, 255, 300, 16_000])
def test_literals_of_any_length_are_what_hpack_reads(length):
    decoded = hpack.Decoder().decode(literal(b"x", b"v" * length), raw=True)
    assert [(b"x", b"v" * length)] == [tuple(field) for field in decoded]


@pytest.mark.parametrize("code", [200, 404, 431])
def test_statuses_are_what_hpack_reads(code):
    assert [(":status", str(code))] == [tuple(f) for f in hpack.Decoder().decode(status(code))]
