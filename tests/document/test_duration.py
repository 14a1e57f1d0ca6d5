from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilot_core.document import Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("1m30s", 90),
        ("1.5s", 1.5),
        ("0s", 0),
    ],
)
def test_a_duration_is_a_number_with_a_unit(text, seconds):
    assert seconds == Duration.parse(text)


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 s", "5d", "1e3s", "5S", "٥s", "9" * 99])
def test_nothing_else_is_a_duration(text):
    with pytest.raises(ValueError, match="not a duration"):
        Duration.parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.01, "10ms"),
        (0.0, "0s"),
        (30, "30s"),
        (60, "1m"),
        (90, "90s"),
        (7200, "2h"),
        (1.5, "1.5s"),
    ],
)
def test_it_is_written_in_its_shortest_form(seconds, text):
    assert text == str(Duration(seconds))


@given(st.integers(0, 10**8).map(lambda n: n / 1000))
def test_what_is_written_is_read_back(seconds):
    assert seconds == pytest.approx(Duration.parse(str(Duration(seconds))), rel=1e-8)
