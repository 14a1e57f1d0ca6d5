"""For authors of adapter plugins: what their tests need, and the suite that every adapter passes.

`AdapterConformance` over a `Platform` of yours is the suite. `RecordingSink` and `session` run an
adapter without a daemon, `FakeClock` moves time by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilot_core.testing.clock import FakeClock
from pilot_core.testing.platform import Platform, Services
from pilot_core.testing.session import NoMetrics, host, session
from pilot_core.testing.sink import RecordingSink

if TYPE_CHECKING:
    from pilot_core.testing.conformance import AdapterConformance

__all__ = [
    "AdapterConformance",
    "FakeClock",
    "NoMetrics",
    "Platform",
    "RecordingSink",
    "Services",
    "host",
    "session",
]


def __getattr__(name: str) -> Any:
    """The suite needs pytest, which is not there where only the rest is used."""
    if name == "AdapterConformance":
        from pilot_core.testing.conformance import AdapterConformance

        return AdapterConformance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
