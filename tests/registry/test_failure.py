from __future__ import annotations

import asyncio
import ssl

import aiohttp
import pytest

from pilot_core.adapter import Denied, Unavailable
from pilot_core.registry import failure
from pilot_core.registry.failure import Cause


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (Unavailable("closed"), Cause.OUTAGE),
        (ConnectionRefusedError(), Cause.OUTAGE),
        (TimeoutError(), Cause.OUTAGE),
        (ssl.SSLError("bad certificate"), Cause.OUTAGE),
        (asyncio.IncompleteReadError(b"", 4), Cause.OUTAGE),
        (aiohttp.ServerDisconnectedError(), Cause.OUTAGE),
        (Denied("list services"), Cause.DENIED),
        (KeyError("x"), Cause.BUG),
        (failure.Returned("run() returned"), Cause.BUG),
        (ExceptionGroup("", [Unavailable("a"), OSError()]), Cause.OUTAGE),
        (ExceptionGroup("", [Unavailable("a"), Denied("b")]), Cause.DENIED),
        (ExceptionGroup("", [Denied("a"), ExceptionGroup("", [ValueError()])]), Cause.BUG),
    ],
)
def test_what_an_error_means(error, cause):
    assert cause == failure.cause(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Unavailable("closed by  the\nregistry"), "closed by the registry"),
        (KeyError("x"), "KeyError: 'x'"),
        (TimeoutError(), "TimeoutError: without a word"),
        (ExceptionGroup("two", [Denied("a"), Denied("a"), OSError("b")]), "a; OSError: b"),
        (OSError("caf\udce9.yaml"), "OSError: caf?.yaml"),
    ],
)
def test_an_error_in_one_line(error, words):
    assert words == failure.describe(error)


def test_an_error_that_says_too_much_is_cut():
    assert 600 > len(failure.describe(ValueError("x" * 10_000_000)))


def raised(text: str) -> BaseException:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_the_same_place_is_the_same_bug_whatever_its_text():
    assert failure.place(raised("one")) == failure.place(raised("two"))
    assert failure.place(raised("one")) != failure.place(ValueError("one"))
