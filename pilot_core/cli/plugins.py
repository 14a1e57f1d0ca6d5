"""The verbs about adapter plugins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from pilot_core.cli import output
from pilot_core.cli.output import Column, Item, Table


def _field(name: str) -> Callable[[Item], object]:
    return lambda item: item[name]


_ADAPTERS = Table(
    lambda item: str(item["name"]),
    (
        Column("NAME", _field("name")),
        Column("DISTRIBUTION", _field("distribution")),
        Column("VERSION", _field("version")),
        Column("CONTRACT", _field("contract")),
        Column("STATE", _field("state")),
        Column("ERROR", _field("error")),
    ),
)


@click.command()
@click.option("-o", "--output", "format", type=click.Choice(output.FORMATS), default="table")
@click.option("--no-headers", is_flag=True)
def adapters(format: str, no_headers: bool) -> None:
    """List installed adapter plugins."""
    import msgspec

    from pilot_core.registry import loader

    items = [msgspec.to_builtins(plugin) for plugin in loader.installed()]
    answer = {"apiVersion": "pilot-core/v1", "kind": "AdapterList", "items": items}
    output.show(answer, _ADAPTERS, format, headers=not no_headers)


@click.group()
def adapter() -> None:
    """Make a new adapter plugin."""


@adapter.command()
@click.argument("name")
@click.option("--output", "directory", type=click.Path(path_type=Path), metavar="DIR")
def new(name: str, directory: Path | None) -> None:
    """Make a plugin project for the platform NAME in DIR (default ./pilot-adapter-NAME)."""
    from pilot_core.testing import template

    where = directory or Path(f"pilot-adapter-{name}")
    for path in template.create(name, where):
        print(path)
    click.echo(f"\nNext: cd {where} && pip install -e '.[test]' && pytest", err=True)
