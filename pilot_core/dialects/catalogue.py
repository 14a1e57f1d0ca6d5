"""Catalogue documents: services and their endpoints as people write them, to records.

Rule 1: a file that cannot be read as a whole (no YAML, no list of services) raises; whoever holds
what it last gave keeps that.
Rule 2: an entry that is wrong is refused alone, and what its hostname last gave stays.
Rule 3: a hostname stands in a file once: the second entry is refused. Several files and several
registries may well hold the same hostname; they are merged.
Rule 4: a document with `apiVersion` and `kind` belongs to a dialect; one that nobody reads is
refused in so many words.
"""

from __future__ import annotations

from collections import abc

import msgspec

from pilot_core.dialects import objects, trust
from pilot_core.dialects.convert import Converter, Said, hostname_of
from pilot_core.dialects.entries import ServiceEntry
from pilot_core.dialects.steps import Steps, follow
from pilot_core.document import Decoder, Findings, Mapping, Node, Scalar, Sequence, documents
from pilot_core.document.words import Where, found, unknown
from pilot_core.errors import Finding
from pilot_core.model import Origin, Record, RecordKey, Trust

_SERVICES = "services"
_KEYS = (_SERVICES, *trust.KINDS)


class Catalogue(msgspec.Struct, frozen=True):
    """What a file says: records by hostname, and what of it has been refused."""

    services: abc.Mapping[str, tuple[Said, ...]]
    refused: tuple[Finding, ...] = ()
    trust: abc.Mapping[RecordKey, Trust] = msgspec.field(default_factory=dict)

    @property
    def records(self) -> tuple[Record, ...]:
        services = (record for records in self.services.values() for record in records)
        return (*services, *self.trust.values())


NOTHING = Catalogue({})


def read(
    content: bytes | str, path: str, *, before: Catalogue = NOTHING, is_json: bool = False
) -> Catalogue:
    """The catalogue in this text. `path` is what findings and origins name; `.json` at its end, or
    `is_json`, says that it is JSON. `before` is what the same file gave last.

    Raises ConfigError where the file cannot be read as a whole.
    """
    reading = _Reading(path, before)
    findings = Findings(path)
    roots = documents(content, findings, each=_SERVICES, visit=reading.entry, is_json=is_json)
    for root in roots:
        reading.end_of_document(root, findings)
    findings.raise_any()
    return reading.catalogue()


class _Reading:
    """One file, entry by entry."""

    def __init__(self, path: str, before: Catalogue) -> None:
        self._path, self._before = path, before
        self._convert = Converter()
        self._services: dict[str, tuple[Said, ...]] = {}
        self._refused: list[Finding] = []
        self._refused_names: set[str] = set()
        self._trust = trust.Reading(before.trust)
        # Until the end of a document it is not known whether it is a catalogue at all.
        self._pending: list[tuple[Node, tuple[Said, ...], tuple[Finding, ...]]] = []

    def entry(self, node: Node, index: int, findings: Findings) -> None:
        """An item of `services`; `findings` are its own."""
        where: Where = ((), _SERVICES), index
        decoder = Decoder(findings)
        entry = decoder.decode(node, ServiceEntry, where)
        records: tuple[Said, ...] = ()
        if entry is not None:

            def refuse(steps: Steps, message: str) -> None:
                decoder.refuse(*follow(node, where, steps), message)

            records = self._convert.records(entry, Origin(findings.place(node)), refuse)
        if len(findings):
            records = ()
        self._pending.append((_brief(node), records, findings.all))

    def end_of_document(self, root: Node, findings: Findings) -> None:
        """Everything but the entries."""
        pending, self._pending = self._pending, []
        if isinstance(root, Scalar) and root.value is None:
            return
        if not isinstance(root, Mapping):
            findings.add(root, f"expected a mapping with the key services, found {found(root)}")
        elif "apiVersion" in root.entries and "kind" in root.entries:
            self._object(root)
        else:
            _check_keys(root, findings)
            for kind in trust.KINDS:
                self._trust.entries(kind, root.get(kind), findings.path)
            for node, records, refused in pending:
                self._take(node, records, refused)

    def _take(self, node: Node, records: tuple[Said, ...], refused: tuple[Finding, ...]) -> None:
        self._refused.extend(refused)
        if not records:
            name = node.get("hostname") if isinstance(node, Mapping) else None
            written = name.value if isinstance(name, Scalar) else None
            self._refused_names.add(hostname_of(written) if isinstance(written, str) else "")
            return
        hostname = records[0].hostname
        if hostname in self._services:
            message = f"{hostname} is in this file already: one entry has to hold all its endpoints"
            self._refused.append(Finding(self._path, node.line, node.column, message))
        self._services.setdefault(hostname, records)

    def _object(self, root: Mapping) -> None:
        """A document of a dialect. What is wrong with it is refused alone."""
        read = objects.read(root, Findings(self._path))
        self._refused.extend(read.refused)
        found: dict[str, list[Said]] = {}
        for record in read.records:
            if isinstance(record, Trust):
                self._trust.take(record, root, Findings(self._path))
            else:
                found.setdefault(record.hostname, []).append(record)
        for hostname, records in found.items():
            if hostname in self._services:
                message = f"{hostname} is in this file already: only the first one counts"
                self._refused.append(Finding(self._path, root.line, root.column, message))
            self._services.setdefault(hostname, tuple(records))
        if read.refused:
            self._refused_names |= _hosts(root)
            self._trust.keep(objects.record_kind(root))

    def catalogue(self) -> Catalogue:
        kept = {
            name: self._before.services[name]
            for name in sorted(self._refused_names)
            if name in self._before.services and name not in self._services
        }
        refused = (*self._refused, *self._trust.refused)
        return Catalogue({**self._services, **kept}, refused, self._trust.records())


def _hosts(root: Mapping) -> set[str]:
    """The hostnames that a document of a dialect is about, as far as they can be read: what they
    last had stays."""
    spec = root.get("spec")
    hosts = spec.get("hosts") if isinstance(spec, Mapping) else None
    items = hosts.items if isinstance(hosts, Sequence) else ()
    return {hostname_of(str(item.value)) for item in items if isinstance(item, Scalar)}


def _check_keys(root: Mapping, findings: Findings) -> None:
    for key, entry in root.entries.items():
        value = entry.value
        if key not in _KEYS:
            findings.add(entry, unknown("key", key, _KEYS))
        elif not isinstance(value, Sequence) and not (
            isinstance(value, Scalar) and value.value is None
        ):
            findings.add(value, f"{key}: expected a list, found {found(value)}")


def _brief(node: Node) -> Node:
    """The entry without its contents, so that a large file's tree does not add up in memory."""
    if not isinstance(node, Mapping):
        return node
    entries = {key: entry for key, entry in node.entries.items() if key == "hostname"}
    return Mapping(entries, node.line, node.column)
