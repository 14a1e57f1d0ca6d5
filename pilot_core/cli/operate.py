"""The verbs of whoever runs the daemon: run, check, init."""

from __future__ import annotations

import sys
from pathlib import Path

import click

_CONFIG = click.option(
    "-c",
    "--config",
    "path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The configuration file.",
)


@click.command()
@_CONFIG
@click.option(
    "--log-level", default="info", type=click.Choice(("debug", "info", "warning", "error"))
)
@click.option("--log-format", default="auto", type=click.Choice(("auto", "console", "json")))
def run(path: Path, log_level: str, log_format: str) -> int:
    """Run the daemon. SIGTERM drains it; SIGHUP or a changed file reloads its configuration."""
    from pilot_core.daemon.run import main
    from pilot_core.telemetry.log import LogFormat, configure

    configure(level=log_level, format=LogFormat(log_format))
    return main(path)


@click.command()
@_CONFIG
def check(path: Path) -> int:
    """Find everything wrong with a configuration and its local files, without talking to any
    platform."""
    from pilot_core.config.check import check as findings_in
    from pilot_core.registry import loader

    findings = findings_in(path, adapter_types=loader.load)
    for finding in findings:
        print(finding)
    if findings:
        print(f"{len(findings)} found in {path}", file=sys.stderr)
        return 2
    print(f"{path}: nothing wrong", file=sys.stderr)
    return 0


@click.command()
@click.option(
    "--adapter", "kinds", multiple=True, required=True, metavar="KIND", help="May be repeated."
)
def init(kinds: tuple[str, ...]) -> None:
    """Print a commented configuration for these adapters."""
    from pilot_core.config.init import sample
    from pilot_core.registry import loader

    print(sample(kinds, adapter_types=loader.load), end="")
