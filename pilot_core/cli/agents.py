"""The verbs of the node agent, and the agent that runs beside one proxy."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pilot_core.errors import ConfigError

if TYPE_CHECKING:
    from pilot_certs.agent.node import Node
    from pilot_certs.agent.remote import Proof

F = TypeVar("F", bound=Callable[..., Any])

PORT = 15012
SOCKET = Path("/run/pilot-core/agent.sock")
_DOMAIN = "cluster.local"
_FILE = click.Path(dir_okay=False, path_type=Path)
trusting = (
    click.option(
        "--ca",
        type=_FILE,
        metavar="FILE",
        help="The roots that the server is known by: what `pilot-core ca export` prints.",
    ),
    click.option(
        "--trust-domain",
        metavar="NAME",
        help=f"Default: what the roots in --ca say, else {_DOMAIN}.",
    ),
)
"""How the server is known."""


def joining(function: F) -> F:
    """How somebody proves who he is, and what he keeps of it."""
    options: tuple[Callable[[F], F], ...] = (
        click.option(
            "--join-token-file",
            type=_FILE,
            metavar="FILE",
            help="A token of `pilot-core token create`; used once.",
        ),
        click.option(
            "--attestor",
            metavar="NAME",
            help="Who vouches here instead, as the server's configuration calls it; needs "
            "--token-file, or --cert-file and --key-file.",
        ),
        click.option("--token-file", type=_FILE, metavar="FILE", help="The platform's token."),
        click.option("--cert-file", type=_FILE, metavar="FILE", help="The platform's certificate."),
        click.option("--key-file", type=_FILE, metavar="FILE", help="Its key."),
        click.option(
            "--cache",
            type=click.Path(file_okay=False, path_type=Path),
            metavar="DIR",
            help="Keep keys and certificates here, so that a restart needs no new token.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _trusting(function: F) -> F:
    for option in reversed(trusting):
        function = option(function)
    return function


_XDS = click.option(
    "--xds", default=f"127.0.0.1:{PORT}", metavar="HOST:PORT", show_default=True, help="The server."
)


@click.group()
def agent() -> None:
    """Run the agent of a node, which keeps certificates for what runs there."""


@agent.command("run")
@_XDS
@_trusting
@joining
@click.option(
    "--socket",
    type=_FILE,
    default=SOCKET,
    show_default=True,
    metavar="PATH",
    help="Where proxies and workloads of this node find it.",
)
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    metavar="PATH[=USER]",
    help="An identity (/ns/shop/sa/reviews), and the user it runs as. Default: all that the token "
    "is for, for the agent's own user.",
)
def run(**said: Any) -> int:
    """Keep certificates fresh, and hand them to proxies (SDS) and workloads (SPIFFE)."""
    from pilot_core.daemon import node

    domain = trust_domain(said)
    made = _node(said, said["socket"], _users(said["workloads"], domain))
    return node.run(made, said["xds"])


@agent.command("join")
@_XDS
@_trusting
@joining
def join(**said: Any) -> None:
    """Join once, and keep what was given in --cache; `agent run` needs no token then."""
    from pilot_core.daemon import node

    if said["cache"] is None:
        raise click.UsageError("say where to keep it: --cache DIR")
    for name in node.join(_node(said, SOCKET, {}), said["xds"]):
        print(name)


def of_proxy(said: dict[str, Any], folder: Path) -> Node:
    """The agent of one proxy: for its workload alone, on a socket in this folder."""
    from pilot_certs import spiffe

    account = said["service_account"] or "default"
    name = spiffe.of_account(trust_domain(said), said["namespace"], account)
    return _node(said, folder / "agent.sock", {name: os.geteuid()})


def run_beside(own: Node, xds: str, command: list[str]) -> int:
    """Run the agent with a program beside it, whose exit code is returned."""
    from pilot_core.daemon import node

    return node.run(own, xds, beside=command)


def control_plane(said: dict[str, Any]) -> str:
    """The SPIFFE id of the server. Raises ConfigError."""
    from pilot_certs import serving
    from pilot_certs.spiffe import SpiffeId

    return str(SpiffeId(trust_domain(said), serving.PATH))


def trust_domain(said: dict[str, Any]) -> str:
    """The stated one, or that of the roots in --ca. Raises ConfigError."""
    if said["trust_domain"]:
        return str(said["trust_domain"])
    if said["ca"] is None:
        return _DOMAIN
    from pilot_certs import chain

    try:
        roots = chain.split(said["ca"].read_bytes())
    except OSError as error:
        raise ConfigError(f"--ca {said['ca']}: {error.strerror}") from None
    except chain.Untrusted as error:
        raise ConfigError(f"--ca {said['ca']}: {error}") from None
    return next(filter(None, map(chain.trust_domain, roots)), _DOMAIN)


def _node(said: dict[str, Any], socket: Path, users: dict[Any, int]) -> Node:
    from pilot_certs.agent.node import Node

    if said["ca"] is None:
        raise ConfigError("--ca FILE is needed: what `pilot-core ca export` prints at the server")
    return Node(
        trust_domain=trust_domain(said),
        socket=socket,
        ca_file=said["ca"],
        proof=_proof(said),
        cache=said["cache"],
        users=users,
    )


def _proof(said: dict[str, Any]) -> Proof | None:
    from pilot_certs.agent import proofs

    attestor, token, join = said["attestor"], said["token_file"], said["join_token_file"]
    certificate, key = said["cert_file"], said["key_file"]
    if attestor is None:
        if token or certificate or key:
            raise click.UsageError("say who vouches: --attestor NAME")
        return proofs.JoinToken(join) if join else None
    if join:
        raise click.UsageError("either --join-token-file or --attestor, not both")
    if token and not certificate and not key:
        return proofs.PlatformToken(attestor, token)
    if certificate and key and not token:
        return proofs.PlatformCertificate(attestor, certificate, key)
    raise click.UsageError("--attestor needs --token-file, or --cert-file and --key-file")


def _users(workloads: tuple[str, ...], domain: str) -> dict[Any, int]:
    from pilot_certs.refusal import InvalidRequest
    from pilot_certs.spiffe import SpiffeId

    found: dict[Any, int] = {}
    for text in workloads:
        path, _, user = text.partition("=")
        try:
            found[SpiffeId(domain, path)] = _uid(user)
        except (InvalidRequest, KeyError) as error:
            raise ConfigError(f"--workload {text}: {error}") from None
    return found


def _uid(user: str) -> int:
    if not user:
        return os.geteuid()
    return int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
