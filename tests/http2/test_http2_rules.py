"""What breaks RFC 9113 ends the stream or the connection, with the code that the RFC has for it."""

from __future__ import annotations

import pytest

from http2_talk import ENDS, POST, WHOLE, Talk, block, frame, headers, over, settings, window
from pilot_core.http2 import frames
from pilot_core.http2.errors import ErrorCode as Code
from pilot_core.http2.events import Request, Reset
from pilot_core.http2.frames import (
    CONTINUATION,
    DATA,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
)
from pilot_core.http2.limits import Limits

ITSELF = b"\x00\x00\x00\x03\x10"
LARGEST = 2**31 - 1


def of_connection(*said, code=Code.PROTOCOL_ERROR, id=None):
    return pytest.param(b"".join(said), code, id=id)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        of_connection(frame(DATA, 0, 0, b"x"), id="data of no stream"),
        of_connection(frame(DATA, 0, 3, b"x"), id="data of an idle stream"),
        of_connection(frame(DATA, PADDED, 1, b"\x05xxxx"), id="padding longer than data"),
        of_connection(frame(DATA, PADDED, 1), id="padding without its length"),
        of_connection(headers(0), id="headers of no stream"),
        of_connection(headers(2), id="headers of a stream of ours"),
        of_connection(headers(5), headers(3), id="a number below the last"),
        of_connection(frame(HEADERS, WHOLE | PADDED, 3, b"\xff" + block()), id="padded too much"),
        of_connection(
            frame(HEADERS, WHOLE | WITH_PRIORITY, 3, b"xxx"),
            code=Code.FRAME_SIZE_ERROR,
            id="headers that end in their priority",
        ),
        of_connection(
            frame(HEADERS, WHOLE, 3, b"\xff\xff\xff\xff\xff"),
            code=Code.COMPRESSION_ERROR,
            id="no header block",
        ),
        of_connection(
            frame(HEADERS, WHOLE, 3, b"\x3f\xe1\x7f" + block()),
            code=Code.COMPRESSION_ERROR,
            id="a table that is too large",
        ),
        of_connection(frame(HEADERS, 0, 3, block()), frame(PING, 0, 0, bytes(8)), id="ping amid"),
        of_connection(frame(HEADERS, 0, 3, block()), frame(99, 0, 0), id="unknown frame amid"),
        of_connection(frame(HEADERS, 0, 3, b""), headers(5), id="other headers amid"),
        of_connection(frame(CONTINUATION, WHOLE, 1, block()), id="continuation of nothing"),
        of_connection(
            frame(HEADERS, 0, 3), frame(CONTINUATION, WHOLE, 5, block()), id="of another stream"
        ),
        of_connection(frame(PRIORITY, 0, 0, bytes(5)), id="priority of no stream"),
        of_connection(frame(RST_STREAM, 0, 0, bytes(4)), id="reset of no stream"),
        of_connection(frame(RST_STREAM, 0, 3, bytes(4)), id="reset of an idle stream"),
        of_connection(
            frame(RST_STREAM, 0, 1, bytes(3)), code=Code.FRAME_SIZE_ERROR, id="reset of 3 bytes"
        ),
        of_connection(frame(SETTINGS, 0, 1), id="settings of a stream"),
        of_connection(
            frame(SETTINGS, 0, 0, b"xxx"), code=Code.FRAME_SIZE_ERROR, id="half a setting"
        ),
        of_connection(
            frame(SETTINGS, 1, 0, bytes(6)), code=Code.FRAME_SIZE_ERROR, id="ack with settings"
        ),
        of_connection(settings({2: 2}), id="neither push nor no push"),
        of_connection(
            settings({4: 2**31}), code=Code.FLOW_CONTROL_ERROR, id="a window without end"
        ),
        of_connection(
            window(1, LARGEST - 65_535),
            settings({4: 65_536}),
            code=Code.FLOW_CONTROL_ERROR,
            id="a stream's window grown beyond the end",
        ),
        of_connection(settings({5: 16_383}), id="frames that are too small"),
        of_connection(settings({5: 2**24}), id="frames that are too large"),
        of_connection(frame(PUSH_PROMISE, WHOLE, 1, bytes(4) + block()), id="a push"),
        of_connection(frame(PING, 0, 1, bytes(8)), id="ping of a stream"),
        of_connection(
            frame(PING, 0, 0, bytes(7)), code=Code.FRAME_SIZE_ERROR, id="ping of 7 bytes"
        ),
        of_connection(frame(GOAWAY, 0, 1, bytes(8)), id="goaway of a stream"),
        of_connection(
            frame(GOAWAY, 0, 0, bytes(7)), code=Code.FRAME_SIZE_ERROR, id="goaway of 7 bytes"
        ),
        of_connection(window(0, 0), id="a window that is not opened"),
        of_connection(window(3, 1), id="window of an idle stream"),
        of_connection(window(0, LARGEST), code=Code.FLOW_CONTROL_ERROR, id="a window too large"),
        of_connection(
            frame(WINDOW_UPDATE, 0, 1, bytes(3)), code=Code.FRAME_SIZE_ERROR, id="window of 3 bytes"
        ),
        of_connection(
            frames.head(16_385, DATA, 0, 1), code=Code.FRAME_SIZE_ERROR, id="too large a frame"
        ),
    ],
)
def test_the_connection_is_over(said, code):
    talk = Talk()
    talk.say(headers(1))
    talk.hear()
    assert code is over(talk.say(said))
    assert code is talk.end()[0]
    assert (True, 0) == (talk.server.is_over, talk.server.streams)
    # Whatever comes then is not even looked at.
    assert ([], []) == (talk.say(headers(7)), talk.hear())


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01",
        frames.PREFACE[:-1] + b"x",
        frames.PREFACE + frame(PING, 0, 0, bytes(8)),
        frames.PREFACE + headers(1),
        frames.PREFACE + frames.head(9_999, HEADERS, 0, 1),
    ],
)
def test_who_does_not_begin_as_http2_does_is_not_listened_to(said):
    talk = Talk(is_greeted=False)
    assert Code.PROTOCOL_ERROR is over(talk.say(said))
    assert not talk.server.is_greeted


def test_more_than_the_connections_window_ends_the_connection():
    talk = Talk(Limits(connection_window=70_000))
    talk.say(*(headers(stream) for stream in (1, 3, 5)))
    said = [frame(DATA, 0, stream, bytes(14_001)) for stream in (1, 3, 5, 1, 3)]
    assert Code.FLOW_CONTROL_ERROR is over(talk.say(*said))


def without(name):
    return [field for field in POST if field[0] != name]


@pytest.mark.parametrize(
    "fields",
    [
        without(":method"),
        without(":path"),
        without(":scheme"),
        [*without(":path"), (":path", "")],
        [("te", "trailers"), *POST],
        [*POST, (":path", "/again")],
        [(":path", "/again"), *POST],
        [(":status", "200"), *POST],
        [(":what", "ever"), *POST],
        [*POST, ("Upper", "case")],
        [*POST, ("", "nameless")],
        [*POST, ("sp ace", "x")],
        [*POST, ("connection", "close")],
        [*POST, ("transfer-encoding", "chunked")],
        [*POST, ("te", "gzip")],
        [*POST, ("x", "line\nbreak")],
        [*POST, ("x", "nul\0")],
        [*POST, ("x", " space around ")],
        [*POST, ("content-length", "minus one")],
        [*POST, ("content-length", "1"), ("content-length", "2")],
    ],
)
def test_a_request_that_is_none_ends_its_stream_alone(fields):
    talk = Talk()
    assert [] == talk.say(headers(1, fields))
    assert [(1, Code.PROTOCOL_ERROR)] == talk.resets()
    assert [Request] == [type(event) for event in talk.say(headers(3))]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (headers(1, [("x", "y")]), Code.PROTOCOL_ERROR),
        (headers(1, [(":path", "/x")], WHOLE | ENDS), Code.PROTOCOL_ERROR),
        (frame(WINDOW_UPDATE, 0, 1, bytes(4)), Code.PROTOCOL_ERROR),
        (window(1, LARGEST), Code.FLOW_CONTROL_ERROR),
        (frame(PRIORITY, 0, 1, bytes(4)), Code.FRAME_SIZE_ERROR),
        (frame(PRIORITY, 0, 1, b"\x00\x00\x00\x01\x00"), Code.PROTOCOL_ERROR),
        (b"".join(frame(DATA, 0, 1, bytes(16_384)) for _ in range(17)), Code.FLOW_CONTROL_ERROR),
        (frame(DATA, ENDS, 1, b"x") + frame(DATA, 0, 1, b"y"), Code.STREAM_CLOSED),
        (frame(DATA, ENDS, 1, b"x") + headers(1, [], WHOLE | ENDS), Code.STREAM_CLOSED),
    ],
)
def test_an_open_stream_is_over_and_others_go_on(said, code):
    talk = Talk()
    talk.say(headers(1))
    talk.hear()
    *_, last = talk.say(said)
    assert (Reset, 1, code) == (type(last), last.stream, last.code)
    assert [(1, code)] == talk.resets()
    assert [Request] == [type(event) for event in talk.say(headers(3))]


def test_a_stream_that_depends_on_itself_is_refused():
    talk = Talk()
    said = frame(HEADERS, WHOLE | WITH_PRIORITY, 3, ITSELF + block())
    assert [] == talk.say(said)
    assert [(3, Code.PROTOCOL_ERROR)] == talk.resets()


@pytest.mark.parametrize("length", ["4", "6"])
def test_a_body_that_is_not_as_long_as_it_said_is_refused(length):
    talk = Talk()
    talk.say(headers(1, [*POST, ("content-length", length)]))
    talk.hear()
    talk.say(frame(DATA, ENDS, 1, b"hello"))
    assert [(1, Code.PROTOCOL_ERROR)] == talk.resets()


def test_a_body_that_is_as_long_as_it_said_is_taken():
    talk = Talk()
    talk.say(headers(1, [*POST, ("content-length", "5")]))
    events = talk.say(frame(DATA, 0, 1, b"hel"), frame(DATA, ENDS, 1, b"lo"))
    assert [b"hel", b"lo"] == [event.data for event in events]


@pytest.mark.parametrize("said", [frame(DATA, 0, 1, b"x"), headers(1)])
def test_frames_on_a_stream_that_both_have_ended_end_the_connection(said):
    talk = Talk()
    talk.say(headers(1, flags=WHOLE | ENDS))
    talk.server.finish(1, b"\x88")
    assert Code.STREAM_CLOSED is over(talk.say(said))


def test_a_client_goes_on_sending_on_a_stream_that_it_broke_off_at_its_peril():
    talk = Talk()
    talk.say(headers(1), frame(RST_STREAM, 0, 1, bytes(4)))
    assert Code.STREAM_CLOSED is over(talk.say(frame(DATA, 0, 1, b"x")))
