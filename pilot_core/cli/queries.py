"""The verbs that ask a running daemon."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import click

from pilot_core.cli import output
from pilot_core.cli.client import client, segment
from pilot_core.cli.options import Choice, asking
from pilot_core.cli.output import Column, Item, Table

_TYPES = ("CDS", "LDS", "EDS", "RDS", "SDS")
_KINDS = ("clusters", "listeners", "routes", "endpoints", "secrets", "all")


def field(name: str) -> Callable[[Item], Any]:
    return lambda item: item[name]


def column(head: str, name: str, *, wide: bool = False) -> Column:
    return Column(head, field(name), wide)


def _ports(item: Item) -> list[str]:
    return [f"{p['number']}/{p['protocol']}" for p in item["ports"]]


def _healthy(item: Item) -> str:
    return f"{item['endpoints']['healthy']}/{item['endpoints']['total']}"


def age(name: str, *, ahead: bool = False) -> Callable[[Item], str]:
    """How long ago a time was, or how far ahead it is, in its largest unit."""

    def cell(item: Item) -> str:
        if item[name] is None:
            return "-"
        then = time.mktime(time.strptime(item[name][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        since = time.time() - then
        seconds = max(0, int(-since if ahead else since))
        if seconds < 120:
            return f"{seconds}s"
        if seconds < 7200:
            return f"{seconds // 60}m"
        return f"{seconds // 3600}h" if seconds < 172800 else f"{seconds // 86400}d"

    return cell


def _type(name: str) -> Column:
    return Column(name, lambda item: (item["types"].get(name) or {}).get("state"))


def _words(item: Item) -> str | None:
    """Why a proxy refused something, in its own words."""
    said = [f"{n}: {t['error']}" for n, t in item["types"].items() if t and t["error"]]
    return "; ".join(said) or None


REGISTRIES = Table(
    field("name"),
    (
        column("NAME", "name"),
        column("KIND", "kind"),
        column("STATE", "state"),
        Column("SINCE", age("since")),
        column("SERVICES", "services"),
        column("ENDPOINTS", "endpoints"),
        column("SOURCES", "sources"),
        column("REQUIRED", "required", wide=True),
        column("SESSIONS", "sessions", wide=True),
        Column("LAST CHANGE", age("last_change"), is_wide=True),
        column("WARNINGS", "warnings", wide=True),
        Column("HELD", lambda i: i["held"] and f"{i['held']['share']:.0%}"),
        column("ERROR", "error"),
    ),
)
SERVICES = Table(
    field("hostname"),
    (
        column("HOSTNAME", "hostname"),
        column("NAMESPACE", "namespace"),
        column("REGISTRIES", "registries"),
        Column("PORTS", _ports),
        Column("HEALTHY", _healthy),
        column("RESOLUTION", "resolution", wide=True),
        column("VISIBILITY", "visibility", wide=True),
        Column("CONFLICTS", lambda i: len(i["conflicts"]) or None),
    ),
)
ENDPOINTS = Table(
    field("address"),
    (
        column("ADDRESS", "address"),
        column("PORTS", "ports"),
        column("HEALTH", "health"),
        column("WEIGHT", "weight"),
        column("LOCALITY", "locality"),
        column("WORKLOAD", "workload"),
        column("REGISTRY", "registry"),
        column("SOURCE", "source", wide=True),
        column("LABELS", "labels", wide=True),
        column("TLS", "tls", wide=True),
        column("ACCOUNT", "service_account", wide=True),
    ),
)
PROXIES = Table(
    field("id"),
    (
        column("PROXY", "id"),
        *(_type(name) for name in _TYPES),
        column("VARIANT", "variant", wide=True),
        column("VERSION", "version", wide=True),
        column("PLATFORM", "platform", wide=True),
        column("MODE", "mode", wide=True),
        Column("CONNECTED", age("connected_since")),
        Column("REFUSED", _words),
    ),
)
PROBLEMS = Table(
    lambda item: f"{item['code']}/{item['object'] or item['source'] or ''}",
    (
        column("SEVERITY", "severity"),
        column("CODE", "code"),
        column("OBJECT", "object", wide=True),
        column("REGISTRY", "registry"),
        column("ORIGIN", "origin"),
        Column("SINCE", age("since")),
        column("COUNT", "count", wide=True),
        column("MESSAGE", "message"),
    ),
)


def ask(path: str, show: Callable[[Any], None], **said: Any) -> Any:
    """Ask, show, and again while watching; returns the last answer."""
    to = client(said["server"], said["token_file"])
    while True:
        answer = to.get(path)
        if said["watch"] and sys.stdout.isatty():
            click.clear()
        show(answer)
        if not said["watch"]:
            return answer
        sys.stdout.flush()
        time.sleep(said["every"])


def listing(path: str, table: Table, **said: Any) -> Any:
    """As `ask`, for what a table shows."""

    def show(answer: Any) -> None:
        output.show(answer, table, said["format"], headers=not said["no_headers"])

    return ask(path, show, **said)


@click.command()
@asking
def registries(**said: Any) -> None:
    """List the configured registries, and how they are doing."""
    listing("/api/v1/registries", REGISTRIES, **said)


@click.command()
@asking
def services(**said: Any) -> None:
    """List the services of all registries."""
    listing("/api/v1/services", SERVICES, **said)


@click.command()
@click.argument("hostname")
@asking
def endpoints(hostname: str, **said: Any) -> None:
    """List the endpoints of a service, whatever registries they are in."""
    listing(f"/api/v1/services/{segment(hostname)}/endpoints", ENDPOINTS, **said)


@click.command()
@click.argument("proxy", required=False)
@asking
def ps(proxy: str | None, **said: Any) -> None:
    """List connected proxies, and how far each is in sync; or one PROXY, by id or workload."""
    path = f"/api/v1/proxies/{segment(proxy)}" if proxy else "/api/v1/proxies"
    listing(path, PROXIES, **said)


@click.command()
@asking
def problems(**said: Any) -> int:
    """List everything that is refused, in conflict, held or stale; exit code 1 for errors."""
    answer = listing("/api/v1/problems", PROBLEMS, **said)
    return int(any(item["severity"] == "error" for item in answer["items"]))


@click.command("proxy-config")
@click.argument("kind", type=Choice(_KINDS))
@click.argument("proxy")
@asking
def proxy_config(kind: str, proxy: str, **said: Any) -> None:
    """Show what the server holds for PROXY: clusters, listeners, routes, endpoints or all."""

    def show(answer: Item) -> None:
        _show_config(answer, kind, said["format"], headers=not said["no_headers"])

    ask(f"/api/v1/proxies/{segment(proxy)}/config?type={kind}", show, **said)


def _show_config(answer: Item, kind: str, format: str, *, headers: bool) -> None:
    held = {name: rows for name, rows in answer.items() if name != "proxy" and rows is not None}
    if format in ("json", "yaml"):
        output.show_document(held if kind == "all" else held[kind], format)
        return
    show_resources(held, format, headers=headers)


def show_resources(held: Mapping[str, list[Item]], format: str, *, headers: bool) -> None:
    """Envoy's resources by kind, as a table of their names."""
    items = [{"kind": name, **row} for name, rows in held.items() for row in rows]
    output.show({"items": items}, _NAMES, format, headers=headers)


def _name(item: Item) -> str:
    return str(item.get("name") or item.get("cluster_name") or "")


def _about(item: Item) -> str | None:
    """A word on what is in a resource."""
    if "virtual_hosts" in item:
        return f"{len(item['virtual_hosts'])} virtual hosts"
    if "address" in item:
        where = item["address"].get("socket_address", {})
        return f"{where.get('address')}:{where.get('port_value')}"
    if "cluster_name" in item:
        count = sum(len(e.get("lb_endpoints", ())) for e in item.get("endpoints", ()))
        return f"{count} endpoints"
    found = item.get("type")
    return str(found) if found else None


_NAMES = Table(
    _name,
    (column("KIND", "kind"), Column("NAME", _name), Column("WHAT", _about)),
)
