"""What a scheduler knows of its tasks besides Mesos: it adds to them, and never makes any."""

from __future__ import annotations

import msgspec

from pilot_core.model import Health


class Extra(msgspec.Struct, frozen=True):
    """Of one task. `health` can only make it worse; `service_ports` are by the number that the
    task's discovery says."""

    labels: tuple[tuple[str, str], ...] = ()
    health: Health = Health.HEALTHY
    service_ports: tuple[tuple[int, int], ...] = ()
    version: str = ""


NOTHING = Extra()
