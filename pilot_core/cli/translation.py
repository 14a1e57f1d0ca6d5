"""`pilot-core translate`: what a proxy would get, without any server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilot_core.cli import output
from pilot_core.cli.options import printing
from pilot_core.errors import ConfigError, Finding

if TYPE_CHECKING:
    from pilot_core.model import Locality


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
@click.option(
    "--trust-domain",
    default="cluster.local",
    metavar="DOMAIN",
    show_default=True,
    help="That of the mesh: identities begin with it.",
)
@printing("yaml")
def translate(
    paths: tuple[str, ...], node_file: Path, trust_domain: str, format: str, no_headers: bool
) -> int:
    """Print what a proxy would get from these catalogue files, offline. What is refused in them
    goes to standard error, and makes the exit code 1."""
    from pilot_core.cli.queries import show_resources
    from pilot_core.registry.offline import world_of
    from pilot_xds.rendering import translate as render

    proxy = _proxy(node_file)
    refused: list[Finding] = []
    made = render(world_of(paths, refused), proxy, trust_domain)
    if format in ("json", "yaml"):
        output.show_document(made, format)
    else:
        show_resources(made, format, headers=not no_headers)
    for finding in refused:
        print(f"pilot-core: refused: {finding}", file=sys.stderr)
    return int(bool(refused))


def _proxy(path: Path) -> Any:
    from pilot_core.model.proxy import describe

    said = _document(path)
    node = said.get("node", said) if isinstance(said, dict) else {}
    if not isinstance(node, dict) or not isinstance(node.get("id"), str):
        raise ConfigError(
            f"--node {path}: expected an object with an id, such as a bootstrap's node"
        )
    return describe(
        node["id"],
        _mapping(path, node, "metadata"),
        locality=_locality(_mapping(path, node, "locality")),
        user_agent=str(node.get("user_agent_name", "")),
    )


def _document(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"--node {path}: {error}") from None


def _mapping(path: Path, node: dict[str, Any], key: str) -> dict[str, Any]:
    value = node.get(key) or {}
    if not isinstance(value, dict):
        raise ConfigError(f"--node {path}: {key}: expected a mapping")
    return value


def _locality(place: dict[str, Any]) -> Locality:
    from pilot_core.model import Locality

    return Locality(*(str(place.get(level, "")) for level in ("region", "zone", "sub_zone")))
