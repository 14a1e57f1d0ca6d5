"""Files of certificates as a TLS context, which is made anew when they have changed."""

from __future__ import annotations

import ssl
from pathlib import Path

from pilot_core.adapter import Unavailable

_Stamp = tuple[tuple[int, int, int] | None, ...]


class TlsFiles:
    """Whoever rotates certificates replaces one file after the other: while they do not fit
    together, what was read last is good enough."""

    def __init__(self, ca: Path | None, cert: Path | None = None, key: Path | None = None) -> None:
        self._ca, self._cert, self._key = ca, cert, key
        self._stamp: _Stamp = ()
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Of the files as they are now. Raises Unavailable: they may be there in a moment."""
        stamp = tuple(_stamp(path) for path in (self._ca, self._cert, self._key))
        if self._context is None or stamp != self._stamp:
            try:
                self._context = self._read()
                self._stamp = stamp
            except (OSError, ssl.SSLError) as error:
                if self._context is None:
                    raise Unavailable(f"the files for TLS cannot be used: {error}") from None
        return self._context

    def _read(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca)
        if self._cert is not None and self._key is not None:
            context.load_cert_chain(self._cert, self._key)
        return context


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    """What changes when a file does."""
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found else None
