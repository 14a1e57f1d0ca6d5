"""The Cloud Controller's resources, as far as they are read, and what becomes of them: pure.

Source: the Cloud Controller's API, version 3, and that of the network policies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pilot_adapter_cloudfoundry.names import Labels, NetworkPolicy, merged
from pilot_adapter_cloudfoundry.route import Uri

_REVISION = "cf.revision"


class Link(msgspec.Struct, frozen=True):
    href: str = ""


class Root(msgspec.Struct, frozen=True):
    links: dict[str, Link | None] = {}


class Pagination(msgspec.Struct, frozen=True):
    total_results: int = 0
    next: Link | None = None


class Page(msgspec.Struct, frozen=True):
    pagination: Pagination
    resources: list[dict[str, Any]] = []


class Metadata(msgspec.Struct, frozen=True):
    labels: dict[str, str | None] = {}


class Guid(msgspec.Struct, frozen=True):
    guid: str = ""


class Relationship(msgspec.Struct, frozen=True):
    data: Guid | None = None


class Named(msgspec.Struct, frozen=True):
    """What has a guid, labels, and belongs to something."""

    guid: str
    metadata: Metadata = Metadata()
    relationships: dict[str, Relationship | None] = {}

    @property
    def labels(self) -> Labels:
        return tuple((k, v) for k, v in sorted(self.metadata.labels.items()) if v is not None)

    def related(self, name: str) -> str:
        found = self.relationships.get(name)
        return found.data.guid if found is not None and found.data is not None else ""


class Space(Named, frozen=True):
    """It belongs to an `organization`."""


class App(Named, frozen=True):
    """It belongs to a `space`."""


class Process(Named, frozen=True):
    """It belongs to an `app`, and runs a `revision` of it."""

    @property
    def revision(self) -> str:
        return self.related("revision")


class Revision(msgspec.Struct, frozen=True):
    version: int


class Domain(msgspec.Struct, frozen=True):
    guid: str
    name: str = ""
    router_group: Guid | None = None


class DestinationProcess(msgspec.Struct, frozen=True):
    type: str = "web"


class DestinationApp(msgspec.Struct, frozen=True):
    guid: str = ""
    process: DestinationProcess | None = None


class Destination(msgspec.Struct, frozen=True):
    app: DestinationApp = DestinationApp()
    weight: int | None = None


class Route(msgspec.Struct, frozen=True):
    guid: str
    url: str = ""
    destinations: list[Destination] = []


class Ports(msgspec.Struct, frozen=True):
    start: int = 0
    end: int = 0


class PolicyEnd(msgspec.Struct, frozen=True):
    id: str = ""
    protocol: str = "tcp"
    ports: Ports = Ports()


class PolicyEntry(msgspec.Struct, frozen=True):
    source: PolicyEnd = PolicyEnd()
    destination: PolicyEnd = PolicyEnd()


class Policies(msgspec.Struct, frozen=True):
    policies: list[PolicyEntry] | None = None


def labels_of_apps(
    orgs: Mapping[str, Named], spaces: Mapping[str, Space], apps: Mapping[str, App]
) -> dict[str, Labels]:
    """The nearer one holds: organization, space, application."""
    made = {}
    for guid, app in apps.items():
        space = spaces.get(app.related("space"))
        org = orgs.get(space.related("organization")) if space else None
        found = merged(org.labels if org else (), space.labels if space else (), app.labels)
        if found:
            made[guid] = found
    return made


def labels_of_processes(
    processes: Mapping[str, Process], revisions: Mapping[str, str]
) -> dict[str, Labels]:
    made = {}
    for guid, process in processes.items():
        number = revisions.get(process.revision)
        more = {_REVISION: number, "version": number} if number else {}
        found = merged(more.items(), process.labels)
        if found:
            made[guid] = found
    return made


def tcp_domains(domains: Mapping[str, Domain]) -> dict[str, str]:
    """Of several domains of one router group, the first by name."""
    made: dict[str, str] = {}
    for domain in sorted(domains.values(), key=lambda d: d.name, reverse=True):
        if domain.router_group is not None and domain.name:
            made[domain.router_group.guid] = domain.name.lower()
    return made


def weights(routes: Mapping[str, Route]) -> dict[tuple[str, str, str], int]:
    made = {}
    for route in routes.values():
        where = Uri.parse(route.url)
        for destination in route.destinations:
            process = destination.app.process or DestinationProcess()
            if destination.weight is not None:
                key = (where.host + where.path, destination.app.guid, process.type)
                made[key] = destination.weight
    return made


def policy(entry: PolicyEntry) -> NetworkPolicy:
    to = entry.destination
    return NetworkPolicy(entry.source.id, to.id, to.protocol, to.ports.start, to.ports.end)
