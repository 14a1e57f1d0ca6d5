"""`pilot-core demo`."""

from __future__ import annotations

import click


@click.command()
@click.option("--once", is_flag=True, help="Run the tour, then end: exit code 0 if all worked.")
@click.option("--json", "as_json", is_flag=True, help="Print what was seen as one JSON object.")
def demo(once: bool, as_json: bool) -> int:
    """Show a whole mesh at work on this machine: real Envoys, real requests; nothing is left."""
    from pilot_core.cli.proxies import find_envoy
    from pilot_core.demo import main

    find_envoy()
    return main(once=once, as_json=as_json)
