"""When maintenance of machines begins: pure."""

from __future__ import annotations

from pilot_adapter_mesos.messages import Schedule

_NANOSECONDS = 1e9


def not_yet(planned: Schedule, now: float) -> set[str]:
    """The hostnames of machines all of whose windows begin after `now`, in seconds since the
    epoch."""
    later: set[str] = set()
    begun: set[str] = set()
    for window in planned.windows:
        is_later = window.unavailability.start.nanoseconds / _NANOSECONDS > now
        (later if is_later else begun).update(machine.hostname for machine in window.machine_ids)
    return later - begun
