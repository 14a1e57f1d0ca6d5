"""The verb that puts a proxy beside what a platform's document describes."""

from __future__ import annotations

from typing import IO

import click

from pilot_core.errors import ConfigError, Finding


@click.command()
@click.argument("kind")
@click.argument("file", type=click.File("rb"))
@click.option("--xds", default="127.0.0.1:15010", metavar="HOST:PORT", show_default=True)
@click.option("--image", default="", metavar="IMAGE", help="With pilot-core and its Envoy.")
@click.option("--namespace", default="", metavar="N", help="Default: the platform's usual one.")
@click.option(
    "--agent-socket", default="", metavar="PATH", help="The node agent's, for mutual TLS."
)
def inject(
    kind: str, file: IO[bytes], xds: str, image: str, namespace: str, agent_socket: str
) -> None:
    """Print FILE, a document of this KIND, with a proxy in it; - is standard input."""
    from pilot_core.adapter import Sidecar
    from pilot_core.registry import loader

    sidecar = Sidecar(xds=xds, image=image, namespace=namespace, agent_socket=agent_socket)
    try:
        made = loader.injector(kind)(file.read(), sidecar)
    except ConfigError as error:
        raise ConfigError(*(_within(file.name, found) for found in error.findings)) from None
    click.echo(made, nl=False)


def _within(file: str, found: Finding) -> Finding:
    return found._replace(path=f"{file}: {found.path}" if found.path else file)
