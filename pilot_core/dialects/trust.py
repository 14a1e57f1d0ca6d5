"""The parts of a catalogue document that say whom to believe.

Rule 1: an entry that is wrong is refused alone, and what stood under its name before stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from pilot_core.dialects.entries import RootsEntry
from pilot_core.document import Decoder, Findings, Node, Sequence
from pilot_core.document.words import Where
from pilot_core.errors import Finding
from pilot_core.model import Origin, RecordKey, Roots, Trust

Refuse: TypeAlias = Callable[[str, str], None]
"""Called with the key of an entry that is wrong, and what is wrong with it."""


def _roots(entry: RootsEntry, origin: Origin, refuse: Refuse) -> Roots:
    if not entry.name:
        refuse("name", "expected a name, found nothing")
    if "-----BEGIN CERTIFICATE-----" not in entry.certificates:
        refuse("certificates", "expected certificates in PEM")
    return Roots(name=entry.name, certificates=entry.certificates, origin=origin)


_READERS: dict[str, tuple[type, Callable[[Any, Origin, Refuse], Trust]]] = {
    "roots": (RootsEntry, _roots),
}
KINDS = tuple(_READERS)


class Reading:
    """One file, list by list; `before` is what it gave last."""

    def __init__(self, before: Mapping[RecordKey, Trust]) -> None:
        self._before = before
        self._records: dict[RecordKey, Trust] = {}
        self._kinds_refused: set[str] = set()
        self.refused: list[Finding] = []

    def entries(self, kind: str, node: Node | None, path: str) -> None:
        """The list under this key of a document."""
        for index, item in enumerate(node.items if isinstance(node, Sequence) else ()):
            findings = Findings(path)
            record = _record(kind, item, (((), kind), index), findings)
            if record is not None and record.key in self._records:
                findings.add(item, f"{kind}[{index}]: {record.name} is in this file already")
            elif record is not None:
                self._records[record.key] = record
            if len(findings):
                self._kinds_refused.add(kind)
            self.refused.extend(findings.all)

    def records(self) -> dict[RecordKey, Trust]:
        return dict(self._all())

    def _all(self) -> Iterator[tuple[RecordKey, Trust]]:
        yield from self._records.items()
        for key, record in self._before.items():
            # Which of them the refused entry was to replace cannot always be told from it.
            if key[0] in self._kinds_refused and key not in self._records:
                yield key, record


def _record(kind: str, node: Node, where: Where, findings: Findings) -> Trust | None:
    entry_type, convert = _READERS[kind]
    decoder = Decoder(findings)
    entry = decoder.decode(node, entry_type, where)
    if entry is None:
        return None
    record = convert(
        entry,
        Origin(findings.place(node)),
        lambda key, message: decoder.refuse(node, (where, key), message),
    )
    return None if len(findings) else record
