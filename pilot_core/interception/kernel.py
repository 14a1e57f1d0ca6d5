"""The nat table of this network namespace, read and changed by the system's iptables."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from pilot_core.errors import Denied, PilotError, Unavailable
from pilot_core.interception.rules import Family

_PROGRAM = {4: "iptables", 6: "ip6tables"}
_NET_ADMIN = 12
"""The number of the capability; see capabilities(7)."""
_PATIENCE = 60.0


class NoTable(Unavailable):
    """This system has no nat table of the family, or no program for it."""


def require_right(status: Path = Path("/proc/self/status")) -> None:
    """Raises Denied where this process may not change the rules, which is also to read them."""
    lines = (line.split() for line in status.read_text().splitlines())
    effective = next(int(words[1], 16) for words in lines if words[:1] == ["CapEff:"])
    if not effective >> _NET_ADMIN & 1:
        raise Denied(
            "the rules of this network namespace are changed with the capability CAP_NET_ADMIN: "
            "run it as root, or in a container that has the capability"
        )


def save(family: Family) -> str:
    """What the table holds, as iptables-save prints it. Raises NoTable."""
    command = [_program(family, "save"), "-t", "nat"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    if ran.returncode:
        raise NoTable(f"{_PROGRAM[family]} has no nat table here: {_words(ran.stderr)}")
    return ran.stdout


def restore(family: Family, text: str) -> None:
    """Change the table, wholly or not at all. Raises PilotError."""
    ran = subprocess.run(
        [_program(family, "restore"), "--wait", "--noflush"],
        input=text,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    if ran.returncode:
        raise PilotError(f"{_PROGRAM[family]}-restore changed nothing: {_words(ran.stderr)}")


def _program(family: Family, verb: str) -> str:
    name = f"{_PROGRAM[family]}-{verb}"
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise NoTable(
            f"{name} is not installed: on Debian and Ubuntu, apt-get install iptables; "
            "elsewhere, the package iptables or iptables-nft"
        )
    return found


def _words(said: str) -> str:
    return " ".join(said.split()) or "it does not say why"
