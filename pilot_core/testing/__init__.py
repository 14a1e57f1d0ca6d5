"""For authors of adapter plugins: what their tests need, and the suite that every adapter passes.

`RecordingSink` and `session` run an adapter without a daemon, `FakeClock` moves time by hand.
"""

from pilot_core.testing.clock import FakeClock
from pilot_core.testing.session import NoMetrics, host, session
from pilot_core.testing.sink import RecordingSink

__all__ = ["FakeClock", "NoMetrics", "RecordingSink", "host", "session"]
