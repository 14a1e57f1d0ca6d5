"""Where a record was written down: shown to people, never part of what the record says."""

from __future__ import annotations

import msgspec


class Origin(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A place in a file or in a registry.

    All origins are equal, so that a record that only moved to another line is still the same
    record: an equal put makes no change, and the mirror keeps the newest place to show.
    """

    place: str = ""
    """`file:line:column`, or empty where the registry and the source are all there is to say."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin)

    def __hash__(self) -> int:
        return 0


NOWHERE = Origin()
