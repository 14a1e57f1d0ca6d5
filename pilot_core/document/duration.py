"""Durations as people write them: `250ms`, `30s`, `5m`, `1h`, and `1m30s`."""

from __future__ import annotations

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


class Duration(float):
    """Seconds, zero or more."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Duration:
        """The length that `text` names. Raises ValueError where it names none."""
        if not _WHOLE.fullmatch(text):
            raise ValueError(f"not a duration: {text!r}")
        return cls(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))

    def __str__(self) -> str:
        """The shortest form that `parse` reads back."""
        if self and self < 1:
            return f"{self * 1000:.9g}ms"
        unit = next((u for u in ("h", "m") if self and self % _UNITS[u] == 0), "s")
        return f"{self / _UNITS[unit]:.9g}{unit}"

    def __repr__(self) -> str:
        return f"Duration({float(self)!r})"
