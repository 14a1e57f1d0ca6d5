"""The words of findings: what was found, where in the document, and what may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TypeAlias

from pilot_core.document.tree import Node, Scalar, Sequence

Where: TypeAlias = "tuple[Where, str | int] | tuple[()]"
"""A path from the top of the document, as a linked list: it is put into words only for findings."""

_LONGEST = 60


def path(where: Where) -> str:
    """`adapters[0].config.url`; empty for the whole document."""
    steps: list[str] = []
    while where:
        where, step = where
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(steps)).removeprefix(".")


def told(where: Where, message: str) -> str:
    """The message with its path before it."""
    named = path(where)
    return f"{named}: {message}" if named else message


def found(node: Node) -> str:
    """What stands there: `the string "yes"`, `the number 80`, `a list`."""
    if not isinstance(node, Scalar):
        return "a list" if isinstance(node, Sequence) else "a mapping"
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the string {quoted(value)}"
    return f"the boolean {str(value).lower()}" if isinstance(value, bool) else f"the number {value}"


def quoted(text: str) -> str:
    """In double quotes, printable, and not too long."""
    short = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short) + '"'


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or an empty string."""
    lowered = {k.lower(): k for k in known}
    matches = difflib.get_close_matches(word[:_LONGEST].lower(), lowered, n=1, cutoff=0.6)
    return lowered[matches[0]] if matches else ""


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """`unknown key "adress", did you mean "address"?`, or the list of what is known."""
    names = sorted(known)
    meant = nearest(word, names)
    if meant:
        return f'unknown {what} {quoted(word)}, did you mean "{meant}"?'
    return f"unknown {what} {quoted(word)}; known: {', '.join(names) or 'none'}"


def one_of(word: str, allowed: Iterable[str]) -> str:
    """`expected one of static, dns, found "dsn": did you mean "dns"?`"""
    names = list(allowed)
    meant = nearest(word, names)
    hint = f', did you mean "{meant}"?' if meant else ""
    return f"expected one of {', '.join(names)}, found {quoted(word)}{hint}"
