"""The command line. Every verb lives in a module of its own, imported when it is called.

Data goes to standard output, words for people to standard error. Exit codes: 0 fine, 1 problems
found, 2 usage or configuration, 3 server not reachable, 4 not permitted.
"""

from __future__ import annotations

import os
import sys

import click

from pilot_core import __version__
from pilot_core.cli.lazy import LazyGroup, ReaderGone
from pilot_core.errors import (
    ConfigError,
    Denied,
    NotPermitted,
    NotReachable,
    PilotError,
    PluginError,
)

_VERBS = {
    "run": "pilot_core.cli.operate:run",
    "check": "pilot_core.cli.operate:check",
    "init": "pilot_core.cli.operate:init",
    "demo": "pilot_core.cli.show:demo",
    "adapters": "pilot_core.cli.plugins:adapters",
    "adapter": "pilot_core.cli.plugins:adapter",
    "registries": "pilot_core.cli.queries:registries",
    "services": "pilot_core.cli.queries:services",
    "endpoints": "pilot_core.cli.queries:endpoints",
    "ps": "pilot_core.cli.queries:ps",
    "proxy-config": "pilot_core.cli.queries:proxy_config",
    "problems": "pilot_core.cli.queries:problems",
    "certs": "pilot_core.cli.authority:certs",
    "ca": "pilot_core.cli.authority:ca",
    "token": "pilot_core.cli.authority:token",
    "agent": "pilot_core.cli.agents:agent",
    "bootstrap": "pilot_core.cli.proxies:bootstrap",
    "proxy": "pilot_core.cli.proxies:proxy",
    "inject": "pilot_core.cli.injection:inject",
    "iptables": "pilot_core.cli.interception:iptables",
    "translate": "pilot_core.cli.translation:translate",
}
_HELP = {
    "run": "Run the daemon.",
    "check": "Find everything wrong with a configuration, without talking to any platform.",
    "init": "Print a commented configuration.",
    "demo": "Show a whole mesh at work on this machine.",
    "adapters": "List installed adapter plugins.",
    "adapter": "Make a new adapter plugin.",
    "registries": "List the configured registries, and how they are doing.",
    "services": "List the services of all registries.",
    "endpoints": "List the endpoints of a service.",
    "ps": "List connected proxies, and how far each is in sync.",
    "proxy-config": "Show what the server holds for a proxy (also: pc).",
    "problems": "List everything that is refused, in conflict, held or stale.",
    "certs": "List the certificates that are valid.",
    "ca": "Look at the certificate authority, and rotate it.",
    "token": "Make tokens by which agents join.",
    "agent": "Run the agent of a node, which keeps certificates for what runs there.",
    "bootstrap": "Print the bootstrap of an Envoy.",
    "proxy": "Run an Envoy.",
    "inject": "Put a proxy into the description of a workload.",
    "iptables": "Print, apply or undo the rules that redirect a workload's traffic to its proxy.",
    "translate": "Print what a proxy would get from catalogue files, offline.",
}
_EXIT_CODES = (
    (ConfigError, 2),
    (PluginError, 2),
    (NotReachable, 3),
    (NotPermitted, 4),
    (Denied, 4),
)


@click.group(
    cls=LazyGroup,
    verbs=_VERBS,
    texts=_HELP,
    aliases={"pc": "proxy-config"},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="pilot-core")
def cli() -> None:
    """One control plane for Envoy fleets that span platforms."""


def main() -> None:
    """The program. Never returns."""
    try:
        code = cli.main(prog_name="pilot-core", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (BrokenPipeError, ReaderGone):
        # Whoever read our output has had enough.
        _drop_output()
        sys.exit(0)
    except PilotError as error:
        print(f"pilot-core: {error}", file=sys.stderr)
        sys.exit(next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1))
    except OSError as error:
        _drop_output()
        print(f"pilot-core: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _drop_output() -> None:
    """Nothing is left to be flushed at exit, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
