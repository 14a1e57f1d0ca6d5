"""The parts of a catalogue document that say whom to believe, and who may connect.

Rule 1: an entry that is wrong is refused alone, and what stood under its name before stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from pilot_core.dialects.convert import NAMESPACE_RULE, is_namespace
from pilot_core.dialects.entries import InboundEntry, RootsEntry
from pilot_core.document import Decoder, Findings, Node, Sequence
from pilot_core.document.words import Where
from pilot_core.errors import Finding
from pilot_core.model import Inbound, Origin, RecordKey, Roots, Trust

Refuse: TypeAlias = Callable[[str, str], None]
"""Called with the key of an entry that is wrong, and what is wrong with it."""


def _roots(entry: RootsEntry, origin: Origin, refuse: Refuse) -> Roots:
    if not entry.name:
        refuse("name", "expected a name, found nothing")
    if "-----BEGIN CERTIFICATE-----" not in entry.certificates:
        refuse("certificates", "expected certificates in PEM")
    return Roots(name=entry.name, certificates=entry.certificates, origin=origin)


def _inbound(entry: InboundEntry, origin: Origin, refuse: Refuse) -> Inbound:
    if entry.namespace and not is_namespace(entry.namespace):
        refuse("namespace", f"a namespace is made of {NAMESPACE_RULE}")
    if not entry.namespace and (entry.workload or entry.labels):
        refuse("namespace", "a workload is chosen within a namespace: say which")
    if entry.mode is None and not entry.ports:
        refuse("mode", "expected strict, permissive or disabled, found nothing")
    for port in entry.ports:
        if not port.isdecimal() or not 0 < int(port[:6]) < 65536:
            refuse("ports", f'"{port[:20]}" is not a number from 1 to 65535')
    return Inbound(
        name=_scope(entry),
        namespace=entry.namespace,
        workload=entry.workload,
        labels=tuple(sorted(entry.labels.items())),
        mode=entry.mode,
        ports=tuple(
            sorted((int(port[:6]), mode) for port, mode in entry.ports.items() if port.isdecimal())
        ),
        origin=origin,
    )


def _scope(entry: InboundEntry) -> str:
    """What it is about, which is its name."""
    labels = [f"{key}={value}" for key, value in sorted(entry.labels.items())]
    workload = [entry.workload] if entry.workload else []
    return "/".join((entry.namespace or _MESH, *workload, *labels))


_MESH = "*"
_READERS: dict[str, tuple[type, Callable[[Any, Origin, Refuse], Trust]]] = {
    "roots": (RootsEntry, _roots),
    "inbound": (InboundEntry, _inbound),
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
            if record is not None:
                self.take(record, item, findings, f"{kind}[{index}]: ")
            else:
                self._kinds_refused.add(kind)
                self.refused.extend(findings.all)

    def take(self, record: Trust, node: Node, findings: Findings, what: str = "") -> None:
        """A record, from a list or from a document of its own."""
        if self._records.setdefault(record.key, record) is not record:
            findings.add(node, f"{what}{record.name} is in this file already")
            self.refused.extend(findings.all)

    def keep(self, kind: str) -> None:
        """A document of a dialect is wrong: what it may have said before stays."""
        self._kinds_refused.add(kind)

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
