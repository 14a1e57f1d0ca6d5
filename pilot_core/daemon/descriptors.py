"""As many open files as the system lets us have: each connected proxy takes one.

The usual soft limit of 1,024 is for programs that use select(2), which this one does not.
"""

from __future__ import annotations

import contextlib
import resource

_ENOUGH = 1 << 20
"""More is of no use, and some systems take long over it."""


def raise_limit() -> int:
    """Raise the soft limit to the hard one; what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < most:
        # A sandbox may forbid it: then it stays as it is.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
