"""The verbs of whoever runs the daemon: run, check, init."""

from __future__ import annotations

import operator
import sys
from pathlib import Path

import click

from pilot_core.cli import output
from pilot_core.cli.options import Choice, config_option, printing
from pilot_core.cli.output import Column, Table
from pilot_core.errors import Finding

_FINDINGS = Table(
    lambda item: f"{item['path']}:{item['line'] or 1}:{item['column'] or 1}",
    tuple(
        Column(name.upper(), operator.itemgetter(name))
        for name in ("path", "line", "column", "message")
    ),
)


@click.command()
@config_option
@click.option(
    "--log-level",
    default="info",
    show_default=True,
    type=Choice(("debug", "info", "warning", "error")),
    help="What is worth a line.",
)
@click.option(
    "--log-format",
    default="auto",
    show_default=True,
    type=Choice(("auto", "console", "json")),
    help="auto: lines for people on a terminal, JSON elsewhere.",
)
def run(path: Path, log_level: str, log_format: str) -> int:
    """Run the daemon. SIGTERM drains it; SIGHUP or a changed file reloads its configuration."""
    from pilot_core.daemon.run import main
    from pilot_core.telemetry.log import LogFormat, configure

    configure(level=log_level, format=LogFormat(log_format))
    return main(path)


@click.command()
@config_option
@printing()
def check(path: Path, format: str, no_headers: bool) -> int:
    """Find everything wrong with a configuration and its local files, without talking to any
    platform."""
    from pilot_core.config.check import check as findings_in
    from pilot_core.registry import loader

    findings = findings_in(path, adapter_types=loader.load)
    _show(findings, format, headers=not no_headers)
    if findings:
        print(f"{len(findings)} found in {path}", file=sys.stderr)
        return 2
    print(f"{path}: nothing wrong", file=sys.stderr)
    return 0


def _show(findings: list[Finding], format: str, *, headers: bool) -> None:
    """As compilers do, `file:line:column: message`; in the usual envelope for programs."""
    if format == "table":
        print("".join(f"{finding}\n" for finding in findings), end="")
        return
    items = [
        {"path": f.path, "line": f.line or None, "column": f.column or None, "message": f.message}
        for f in findings
    ]
    answer = {"apiVersion": "pilot-core/v1", "kind": "FindingList", "items": items}
    output.show(answer, _FINDINGS, format, headers=headers)


@click.command()
@click.option(
    "--adapter", "kinds", multiple=True, required=True, metavar="KIND", help="May be repeated."
)
def init(kinds: tuple[str, ...]) -> None:
    """Print a commented configuration for these adapters."""
    from pilot_core.config.init import sample
    from pilot_core.registry import loader

    print(sample(kinds, adapter_types=loader.load), end="")
