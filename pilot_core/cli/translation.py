"""`pilot-core translate`: what a proxy would get, without any server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pilot_core.cli import output
from pilot_core.errors import ConfigError


@click.command()
@click.option(
    "-f",
    "--file",
    "paths",
    multiple=True,
    required=True,
    metavar="DIR",
    help="A catalogue file, or a folder of them. May be repeated.",
)
@click.option(
    "--node",
    "node_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The proxy's node, or its whole bootstrap, as JSON or YAML.",
)
@click.option("-o", "--output", "format", type=click.Choice(("yaml", "json")), default="yaml")
def translate(paths: tuple[str, ...], node_file: Path, format: str) -> None:
    """Print what a proxy would get from these catalogue files, offline."""
    from pilot_core.registry.offline import world_of
    from pilot_xds.rendering import translate as render

    output.show_document(render(world_of(paths), _proxy(node_file)), format)


def _proxy(path: Path) -> Any:
    import yaml

    from pilot_core.model import Locality
    from pilot_core.model.proxy import describe

    try:
        said = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"--node {path}: {error}") from None
    node = said.get("node", said) if isinstance(said, dict) else {}
    if not isinstance(node, dict) or not isinstance(node.get("id"), str):
        raise ConfigError(
            f"--node {path}: expected an object with an id, such as a bootstrap's node"
        )
    place = node.get("locality") or {}
    levels = (str(place.get(level, "")) for level in ("region", "zone", "sub_zone"))
    return describe(
        node["id"],
        node.get("metadata") or {},
        locality=Locality(*levels),
        user_agent=str(node.get("user_agent_name", "")),
    )
