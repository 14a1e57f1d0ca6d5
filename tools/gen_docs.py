"""Write the pages of docs/ that say what the code says: settings, verbs, metrics.

    python tools/gen_docs.py

A test compares them, so they cannot drift. What stands in them is changed at its source: the text
under a field, the help of a command, the declaration of a metric.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import msgspec

from pilot_core.builtin.file import FileConfig
from pilot_core.builtin.http import HttpConfig
from pilot_core.cli import cli
from pilot_core.config import describe
from pilot_core.config.init import written
from pilot_core.config.schema import AdapterSettings, Settings
from pilot_core.telemetry import names

ROOT = Path(__file__).resolve().parent.parent
_MADE = "<!-- Made by `make docs`: change the source, not this page. -->\n"


def configuration() -> str:
    """Every setting of the configuration file and of the adapters in the box."""
    lines = [
        "# Configuration",
        "",
        _MADE,
        "`pilot-core init --adapter KIND…` prints a configuration with these texts as comments;",
        "`pilot-core check -c FILE` says everything that is wrong with one, each finding with",
        "`file:line:column`, and talks to no platform.",
        "",
        "Unknown and repeated keys and values of the wrong type are errors. Only `true` and",
        "`false` are booleans. `${VAR}` and `${VAR:-default}` are replaced in strings. Durations",
        "are `250ms`, `30s`, `5m`, `1h`, and sums such as `1m30s`. Relative paths are relative to",
        "the configuration file. A changed file is read again at once, as it is on SIGHUP; see",
        "[operations](operations.md#reloading).",
        "",
        "## The file",
        "",
        *_table(Settings, ""),
        "",
        "## An adapter: `adapters[]`",
        "",
        *_table(AdapterSettings, ""),
    ]
    for kind, struct in (("file", FileConfig), ("http", HttpConfig)):
        lines += ["", f"## The adapter `{kind}`: its `config`", "", *_table(struct, "")]
    return "\n".join(lines) + "\n"


def _table(struct: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    if not prefix:
        yield "| setting | default | what it is |"
        yield "|---|---|---|"
    for setting in describe.settings(struct):
        key = prefix + setting.key
        text = " ".join(setting.documentation.split()).replace("|", "\\|")
        if setting.section is not None:
            yield f"| **`{key}`** | | {text} |"
            yield from _table(setting.section, f"{key}.")
        else:
            yield f"| `{key}` | {_default(setting)} | {text} |"


def _default(setting: describe.Setting) -> str:
    if setting.is_required:
        return "has to be given"
    text = written(setting.default)
    return f"`{text}`" if text else "none"


def verbs() -> str:
    """The help of every command."""
    lines = [
        "# The command line",
        "",
        _MADE,
        "Data goes to standard output, words for people to standard error. Exit codes: 0 fine,",
        "1 problems found, 2 usage or configuration, 3 server not reachable, 4 not permitted.",
        "The daemon is found by `--server URL`, else `PILOT_CORE_SERVER`, else",
        "`http://127.0.0.1:15014`.",
        "",
    ]
    settings = {**cli.context_settings, "max_content_width": 88, "terminal_width": 88}
    context = click.Context(cli, info_name="pilot-core", **settings)
    for name, command, inner in _commands(cli, context):
        lines += [f"## {name}", "", "```", command.get_help(inner), "```", ""]
    return "\n".join(lines)


def _commands(
    group: click.Group, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)
        else:
            yield inner.command_path, command, inner


def metrics() -> str:
    """Every metric of the core."""
    lines = [
        "# Metrics",
        "",
        _MADE,
        "Prometheus reads them from `/metrics` of the admin address. Names are Istio's where the",
        "meaning is the same. No label names a proxy or a service. What an adapter counts by",
        f"itself is called `{names.ADAPTER_PREFIX}…` and labelled `adapter`.",
        "",
        "| metric | kind | labels | what it is |",
        "|---|---|---|---|",
    ]
    for name in names.declared():
        labels = ", ".join(f"`{label}`" for label in name.labels)
        lines.append(f"| `{name.name}` | {name.kind} | {labels} | {name.help} |")
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "docs/configuration.md": configuration,
    "docs/cli.md": verbs,
    "docs/metrics.md": metrics,
}


def main() -> None:
    for path, page in PAGES.items():
        (ROOT / path).write_text(page())
        print(path, file=sys.stderr)


if __name__ == "__main__":
    main()
