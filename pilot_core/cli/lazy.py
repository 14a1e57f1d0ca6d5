"""A group of commands whose modules are imported when they are called, and not before."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

import click


class ReaderGone(Exception):
    """Nobody reads our output any more. Not an OSError, of which click would make exit code 1."""


class LazyGroup(click.Group):
    """`verbs` maps names to `module:attribute`, `texts` to the line that --help shows."""

    def __init__(
        self,
        *args: Any,
        verbs: Mapping[str, str],
        texts: Mapping[str, str],
        aliases: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self._verbs, self._texts, self._aliases = verbs, texts, aliases or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = self._aliases.get(cmd_name, cmd_name)
        if name not in self._verbs:
            return None
        module, _, attribute = self._verbs[name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], [*self._verbs, *self._aliases], 1)
            hint = f" Did you mean {near[0]}?" if near else " See pilot-core --help."
            raise click.UsageError(f"no verb {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderGone from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the texts alone: no module is imported for it."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(self._texts.items()))
