"""Whose certificates instances may present: a file, put as it is and whenever it has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from pilot_core.adapter import Host, Sink, Unavailable
from pilot_core.model import Roots

_LOOK = 5.0
"""Seconds from one look at the file to the next: authorities are replaced over days."""
SOURCE = "roots"


async def follow(
    name: str, path: Path, sink: Sink, host: Host, has_read: Callable[[], None]
) -> NoReturn:
    """Put what is in the file. While it cannot be read, what was read last stays."""
    known: str | None = None
    trouble = ""
    while True:
        try:
            text = read(path)
        except Unavailable as error:
            words = str(error)
            if words != trouble:
                sink.warn(words, source=SOURCE, origin=str(path))
            trouble = words
        else:
            if text != known or trouble:
                sink.put(SOURCE, (Roots(name=name, certificates=text),))
            known, trouble = text, ""
        has_read()
        await host.clock.sleep(_LOOK)


def read(path: Path) -> str:
    """What is in the file now. Raises Unavailable."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"{path} cannot be read: {type(error).__name__}") from None
