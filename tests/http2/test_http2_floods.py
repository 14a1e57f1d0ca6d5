"""Clients that make work for the server, and none for themselves: they are told off in time."""

from __future__ import annotations

import pytest

from http2_talk import ENDS, POST, WHOLE, Talk, block, frame, headers, over, settings, window
from pilot_core.http2 import frames
from pilot_core.http2.errors import ErrorCode
from pilot_core.http2.events import Request
from pilot_core.http2.frames import CONTINUATION, DATA, HEADERS, PING, PRIORITY, RST_STREAM
from pilot_core.http2.limits import Budget, Limits

CALM = ErrorCode.ENHANCE_YOUR_CALM
FEW = Limits(resets=10, resets_per_second=1, control_frames=20, control_frames_per_second=1)


def rapid_reset(stream):
    return headers(stream) + frame(RST_STREAM, 0, stream, bytes(4))


def made_to_reset(stream):
    """CVE-2025-8671: the client does not break the stream off, it has us do so."""
    return headers(stream) + window(stream, 0)


def no_request(stream):
    return headers(stream, POST[1:])


def streams():
    return range(1, 2**31, 2)


@pytest.mark.parametrize("make", [rapid_reset, made_to_reset, no_request])
def test_streams_that_are_broken_off_are_counted(make):
    talk = Talk(FEW)
    numbers = iter(streams())
    for _ in range(10):
        assert over(talk.say(make(next(numbers)))) is None
        assert 0 == talk.server.streams
    assert CALM is over(talk.say(make(next(numbers))))
    assert CALM is talk.end()[0]


def test_streams_beyond_those_at_a_time_are_refused_and_counted():
    talk = Talk(Limits(streams=5, resets=10, resets_per_second=1))
    events = talk.say(*(headers(stream) for stream in range(1, 31, 2)))
    assert ([Request] * 5, 5) == ([type(event) for event in events], talk.server.streams)
    assert [(n, ErrorCode.REFUSED_STREAM) for n in range(11, 31, 2)] == talk.resets()
    assert CALM is over(talk.say(headers(31)))


def test_a_client_that_breaks_streams_off_now_and_then_is_served_for_ever():
    talk = Talk(FEW)
    for stream in range(1, 1_001, 2):
        assert over(talk.say(rapid_reset(stream))) is None
        talk.now += 1


@pytest.mark.parametrize(
    "said",
    [
        frame(PING, 0, 0, bytes(8)),
        frame(PING, frames.ACK, 0, bytes(8)),
        settings(),
        settings({1: 0, 4: 1, 5: 16_384}),
        frame(frames.SETTINGS, frames.ACK, 0),
        frame(PRIORITY, 0, 9, bytes(5)),
        frame(DATA, 0, 1),
        frame(DATA, frames.PADDED, 1, b"\xc7" + bytes(199)),
        window(0, 1),
        window(1, 1),
        frame(frames.GOAWAY, 0, 0, bytes(8)),
        frame(RST_STREAM, 0, 3, bytes(4)),
        frame(77, 0, 0, b"whatever"),
    ],
)
def test_frames_that_bring_nothing_are_counted(said):
    talk = Talk(FEW)
    talk.say(headers(1), headers(3))
    talk.server.finish(3, b"\x88")
    talk.hear()
    for _ in range(18):
        events = talk.say(said)
        assert over(events) is None
    assert CALM is over(talk.say(said, said))
    assert 0 == talk.server.streams


def test_a_client_that_says_little_for_long_is_served_for_ever():
    talk = Talk(FEW)
    for _ in range(1_000):
        assert over(talk.say(frame(PING, 0, 0, bytes(8)))) is None
        talk.now += 1


def test_who_takes_much_may_say_so_often():
    """A stream that is sent megabytes opens its windows thousands of times, and may."""
    talk = Talk()
    talk.say(headers(1))
    for _ in range(3_000):
        talk.server.send_data(1, [bytes(16_384)], 16_384)
        assert over(talk.say(window(0, 16_384), window(1, 16_384))) is None
    assert 65_535 == talk.server.room(1)


def test_who_is_sent_many_small_messages_may_answer_each():
    """gRPC for Go opens both windows and pings, whatever comes."""
    talk = Talk(FEW)
    talk.say(headers(1))
    for _ in range(1_000):
        talk.server.send_data(1, [bytes(120)], 120)
        said = (window(0, 120), window(1, 120), frame(PING, 0, 0, bytes(8)))
        assert over(talk.say(*said)) is None


def test_windows_that_open_by_a_byte_at_a_time_are_not_served_for_ever():
    talk = Talk(FEW)
    talk.say(settings({4: 0}), headers(1))
    for _ in range(18):
        assert over(talk.say(window(1, 1))) is None
        talk.server.send_data(1, [b"x"], 1)
    assert CALM is over(talk.say(window(1, 1), window(1, 1)))


def test_a_header_block_in_too_many_frames_ends_the_connection():
    talk = Talk()
    talk.say(frame(HEADERS, 0, 1, block()))
    for _ in range(8):
        assert [] == talk.say(frame(CONTINUATION, 0, 1))
        assert talk.server.is_amid_headers
    assert CALM is over(talk.say(frame(CONTINUATION, 0, 1)))


def test_a_header_block_that_is_too_long_ends_the_connection_before_it_is_complete():
    talk = Talk()
    said = block([*POST, ("x", "y" * 40_000)])
    talk.say(frame(HEADERS, 0, 1, said[:16_000]))
    assert [] == talk.say(frame(CONTINUATION, 0, 1, said[16_000:32_000]))
    assert CALM is over(talk.say(frame(CONTINUATION, 0, 1, said[32_000:40_000])))


def test_a_small_block_that_expands_to_megabytes_ends_the_connection():
    talk = Talk()
    # A field of 3,000 bytes that is remembered, and then named by a byte, ten thousand times.
    bomb = b"\x40\x01x\x7f\xb9\x16" + b"v" * 3_000 + b"\xbe" * 10_000
    assert CALM is over(talk.say(frame(HEADERS, WHOLE, 1, bomb)))


def test_what_a_client_never_completes_is_all_that_is_kept():
    """A frame that is not complete holds its own bytes, and no more are taken than it has."""
    talk = Talk()
    talk.say(headers(1))
    whole = frame(DATA, ENDS, 1, bytes(16_384))
    for at in range(0, len(whole) - 1, 1_000):
        assert [] == talk.say(whole[at : min(at + 1_000, len(whole) - 1)])
    assert len(whole) - 1 == len(talk.server._buffer)
    talk.say(whole[-1:])
    assert b"" == talk.server._buffer


def test_streams_that_are_over_are_remembered_to_a_bound():
    talk = Talk(Limits(resets=10**9))
    for stream in range(1, 4_001, 2):
        talk.say(headers(stream, flags=WHOLE | ENDS))
        talk.server.finish(stream, b"\x88")
    assert 100 == len(talk.server._over)


def test_a_budget_is_a_burst_and_then_so_many_per_second():
    budget = Budget(3, 2.0)
    assert [True, True, True, False] == [budget.spend(100.0) for _ in range(4)]
    # What was asked for in vain is paid back first.
    assert [True, False] == [budget.spend(101.0) for _ in range(2)]
    assert [True, True, True, False] == [budget.spend(1_000.0) for _ in range(4)]
    budget.earn(50)
    assert [True, True, True, False] == [budget.spend(1_000.0) for _ in range(4)]
