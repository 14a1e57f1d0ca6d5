"""The verbs of the certificate authority: how it is, the steps of a rotation, tokens to join."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Any

import click

from pilot_core.cli import output
from pilot_core.cli.client import client
from pilot_core.cli.options import asking, changing, config_option
from pilot_core.cli.output import Column, Item, Table
from pilot_core.cli.queries import age, ask, column, field, listing
from pilot_core.errors import ConfigError

_SHORT = 12


def _id(name: str) -> Column:
    return Column(name.upper(), lambda item: item[name] and item[name][:_SHORT])


def _until(name: str, head: str) -> Column:
    return Column(head, lambda item: item[name] and item[name][:19].replace("T", " ") + "Z")


SIGNERS = Table(
    field("id"),
    (
        Column("SIGNER", lambda item: item["id"][:_SHORT]),
        Column("STATE", lambda item: item["state"] + (", tainted" if item["tainted"] else "")),
        Column("KIND", lambda item: "root" if item["is_root"] else "intermediate"),
        _until("not_after", "ENDS"),
        _until("leaves_until", "LEAVES UNTIL"),
        column("ID", "id", wide=True),
    ),
)
CERTIFICATES = Table(
    field("name"),
    (
        column("NAME", "name"),
        column("KIND", "kind"),
        column("STATE", "state"),
        column("HOLDER", "holder"),
        _until("not_after", "ENDS"),
        Column("ENDS IN", age("not_after", ahead=True)),
        column("PROOF", "attestor", wide=True),
        column("SERIAL", "serial", wide=True),
        _id("signer"),
    ),
)


@click.group()
def ca() -> None:
    """Look at the certificate authority, and rotate it."""


@ca.command("status")
@asking
def status(**said: Any) -> None:
    """Show the signers, what a rotation waits for, and its history."""

    def show(answer: Item) -> None:
        if said["format"] in ("json", "yaml"):
            output.show_document(answer, said["format"])
            return
        output.show(
            {"items": answer["signers"]}, SIGNERS, said["format"], headers=not said["no_headers"]
        )
        if said["format"] != "name":
            _tell_status(answer)

    ask("/api/v1/ca", show, **said)


def _tell_status(answer: Item) -> None:
    print(
        f"\ntrust domain {answer['trust_domain']}, bundle {answer['sequence']}; "
        f"{answer['certificates']} certificates ({answer['late']} late), {answer['agents']} agents"
    )
    if answer["waits_for"]:
        print(f"the rotation waits: {answer['waits_for']}")
    if answer["damage"]:
        print(f"the journal was damaged: {answer['damage']}")
    for step in answer["steps"][-5:]:
        print(
            f"{step['at'][:19]}Z  {step['step']} {step['signer'][:_SHORT]}  {step['who']}: "
            f"{step['why']}"
        )


@ca.command("init")
@config_option
def init(path: Path) -> None:
    """Make the authority in the configuration's state_dir, or see that it is sound; no daemon may
    run there. `run` does the same when it starts."""
    from pilot_core.daemon import identity

    made = identity.first(path)
    print(f"{made.folder}: the authority of {made.trust_domain}, signer {made.signer[:_SHORT]}")


@ca.command("export")
@asking
def export(**said: Any) -> None:
    """Print the roots to trust, in PEM: what `agent --ca` and other clients are given."""
    print(client(said["server"], said["token_file"]).text("/api/v1/ca/bundle"), end="")


@ca.command("prepare")
@changing
def prepare(**said: Any) -> None:
    """Hand out a new root; nothing is signed with it yet."""
    _step("prepare", "", **said)


@ca.command("activate")
@changing
@click.option("--force", is_flag=True, help="Whoever has not followed yet fails from then on.")
def activate(**said: Any) -> None:
    """Sign with the prepared signer, once everybody trusts it."""
    _step("activate", "", **said)


@ca.command("taint")
@click.argument("signer")
@changing
def taint(signer: str, **said: Any) -> None:
    """Have everything replaced now that an old SIGNER has signed."""
    _step("taint", signer, **said)


@ca.command("drop")
@click.argument("signer")
@changing
@click.option("--force", is_flag=True, help="Whoever still needs it fails from then on.")
def drop(signer: str, **said: Any) -> None:
    """Trust SIGNER no more, and delete its key."""
    _step("drop", signer, **said)


def _step(step: str, signer: str, **said: Any) -> None:
    body = {"signer": signer, "force": said.get("force", False), "why": said["why"]}
    to = client(said["server"], said["token_file"])
    answer = to.post(f"/api/v1/ca/{step}", {**body, "who": _who()})
    if said["format"] == "table":
        word = {"prepare": "prepared", "activate": "active", "taint": "tainted", "drop": "dropped"}
        print(f"{answer['id'][:_SHORT]} {word[step]}")
    else:
        output.show(answer, SIGNERS, said["format"])


@click.command()
@asking
def certs(**said: Any) -> int:
    """List the certificates that are valid, signers first; exit code 1 where one is expiring."""
    answer = listing("/api/v1/certs", CERTIFICATES, **said)
    return int(any(item["state"] == "expiring" for item in answer["items"]))


@click.group()
def token() -> None:
    """Make tokens by which agents join."""


@token.command("create")
@click.option(
    "--identity",
    "identities",
    multiple=True,
    metavar="PATH",
    help="Path of a SPIFFE id, such as /ns/shop/sa/reviews. May be repeated: one token for all.",
)
@click.option("--namespace", metavar="N", help="With --service-account: the mesh's usual form.")
@click.option("--service-account", metavar="S")
@click.option("--ttl", default="10m", show_default=True, metavar="DURATION")
@click.option("--address", default="", metavar="IP", help="Only from this address.")
@changing
def create(
    identities: tuple[str, ...],
    namespace: str | None,
    service_account: str | None,
    ttl: str,
    address: str,
    **said: Any,
) -> None:
    """Make a token that is good once, for these identities."""
    paths = [*identities]
    if service_account:
        paths.append(f"/ns/{namespace or 'default'}/sa/{service_account}")
    if not paths:
        raise click.UsageError("say for whom: --identity PATH, or --service-account S")
    body = {"paths": paths, "seconds": _seconds(ttl), "peer": address, "who": _who()}
    answer = client(said["server"], said["token_file"]).post("/api/v1/tokens", body)
    if said["format"] in ("json", "yaml"):
        output.show_document(answer, said["format"])
        return
    print(answer["token"])
    names = ", ".join(answer["identities"])
    print(f"for {names}; once, until {answer['expires']}", file=sys.stderr)


def _seconds(text: str) -> float:
    from pilot_core.document.duration import Duration

    try:
        return float(Duration.parse(text))
    except ValueError as error:
        raise ConfigError(f"--ttl {text}: {error}; 10m and 1h are durations") from None


def _who() -> str:
    """The person, as the system knows it; for the history alone."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
