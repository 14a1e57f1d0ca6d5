"""Names of before Mesos' v1, such as `slave_id` where v1 has `agent_id`.

Who speaks so is no master's operator API: a proxy that translates, or something older. Read as v1,
its tasks would run nowhere, and would go without a word. So it ends the session, and says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from pilot_core.adapter import Unavailable

_OLD = "slave"
_NAMED = ("type", "reason")
"""Fields whose values are names too, such as `REASON_SLAVE_REMOVED`."""


class OldNames(Unavailable):
    """What answers does not speak v1."""


def refuse(data: bytes | msgspec.Raw) -> None:
    """Raises OldNames where there is any in this JSON. Slow, so only for what looks odd."""
    try:
        said = msgspec.json.decode(data)
    except msgspec.MsgspecError:
        return
    name = next((name for name in _names(said) if _OLD in name.lower()), "")
    if name:
        raise OldNames(
            f"{name!r} is a name of before Mesos' v1: the operator API of a master is needed "
            "(Mesos 1.0 or newer, at /api/v1), and nothing between that changes what it says"
        )


def _names(said: Any) -> Iterator[str]:
    if isinstance(said, list):
        for each in said:
            yield from _names(each)
    elif isinstance(said, dict):
        for name, value in said.items():
            yield name
            if name in _NAMED and isinstance(value, str):
                yield value
            yield from _names(value)
