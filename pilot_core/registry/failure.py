"""What the end of a session means: an outage, a refusal, or a bug in the adapter."""

from __future__ import annotations

import asyncio
import enum
import traceback
from collections.abc import Iterator

from aiohttp import ClientError

from pilot_core.adapter import Denied, Unavailable
from pilot_core.telemetry.problems import legible

_OUTAGES = (Unavailable, OSError, TimeoutError, EOFError, asyncio.IncompleteReadError, ClientError)

_LONGEST = 500


class Cause(enum.Enum):
    OUTAGE = "outage"
    """The platform cannot be reached: ask again soon."""
    DENIED = "denied"
    """The platform refuses: no gain in asking again soon."""
    BUG = "bug"


class Returned(Exception):
    """run() came to an end without an error."""


class Ended(Exception):
    """The adapter ended itself: it let a cancellation of its own out, or called sys.exit."""


def cause(error: BaseException) -> Cause:
    """Of a group: a bug if there is one in it, else a refusal if there is one, else an outage."""
    leaves = list(_leaves(error))
    if not all(isinstance(leaf, (*_OUTAGES, Denied)) for leaf in leaves):
        return Cause.BUG
    return Cause.DENIED if any(isinstance(leaf, Denied) for leaf in leaves) else Cause.OUTAGE


def describe(error: BaseException) -> str:
    """One line for people; the members of a group, each once."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(describe(inner) for inner in error.exceptions))
    text = legible(" ".join(str(error).split()), _LONGEST) or "without a word"
    is_ours = isinstance(error, Unavailable | Denied | Returned | Ended)
    return text if is_ours else f"{type(error).__name__}: {text}"


def place(error: BaseException) -> tuple[str, ...]:
    """Where it happened: the same bug with another text is the same bug."""
    return tuple(_place(leaf) for leaf in _leaves(error))


def _place(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1:]
    return f"{type(error).__name__} {last[0].filename}:{last[0].lineno}" if last else repr(error)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
