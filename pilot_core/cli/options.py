"""Options that many verbs have: how to print, how often to ask, whom."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from pilot_core.cli import output

F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option(
    "-c",
    "--config",
    "path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The configuration file.",
)
"""The configuration of a daemon."""


class Choice(click.Choice[str]):
    """One of several words; for any other, the one that was probably meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in self.choices:
            near = difflib.get_close_matches(str(value), self.choices, 1, cutoff=0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            self.fail(f"{value!r} is none of {', '.join(self.choices)}.{hint}", param, ctx)
        return str(value)


def format_option(
    formats: Sequence[str] = output.FORMATS, default: str = "table"
) -> Callable[[F], F]:
    """`-o`, for the verbs that print data."""
    return click.option(
        "-o",
        "--output",
        "format",
        type=Choice(formats),
        default=default,
        show_default=True,
        help="How to print it.",
    )


def printing(default: str = "table") -> Callable[[F], F]:
    """`-o` and `--no-headers`."""
    headers = click.option("--no-headers", is_flag=True, help="Tables without their first line.")
    chosen = format_option(default=default)

    def decorate(function: F) -> F:
        return chosen(headers(function))

    return decorate


def asking(function: F) -> F:
    """The options of every verb that asks the daemon."""
    options: tuple[Callable[[F], F], ...] = (
        click.option("--server", metavar="URL", help="The daemon; default $PILOT_CORE_SERVER."),
        click.option("--token-file", metavar="FILE", help="Default $PILOT_CORE_TOKEN_FILE."),
        printing(),
        click.option("-w", "--watch", is_flag=True, help="Ask again and again, until Ctrl-C."),
        click.option(
            "--every",
            type=click.FloatRange(min=0.1),
            default=2.0,
            metavar="SECONDS",
            help="How often --watch asks.  [default: 2]",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def changing(function: F) -> F:
    """The options of every verb that has the daemon change something."""
    options: tuple[Callable[[F], F], ...] = (
        click.option("--server", metavar="URL", help="The daemon; default $PILOT_CORE_SERVER."),
        click.option(
            "--token-file",
            metavar="FILE",
            help="Default $PILOT_CORE_TOKEN_FILE. On the daemon's machine: STATE_DIR/admin.token.",
        ),
        click.option("--why", default="", metavar="TEXT", help="For the history."),
        format_option(),
    )
    for option in reversed(options):
        function = option(function)
    return function
