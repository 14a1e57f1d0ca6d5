"""iptables and iproute2 for the tests with network namespaces: Debian's, installed as root."""

from __future__ import annotations

import os
import shutil
import subprocess

from server_cache import BuildError

CURE = "apt-get install iptables iproute2"


def build() -> None:
    """Install what is not there. Raises BuildError."""
    missing = [
        package
        for program, package in (("iptables-restore", "iptables"), ("ip", "iproute2"))
        if shutil.which(program) is None
    ]
    if not missing:
        return
    if os.geteuid() != 0:
        raise BuildError(f"{' and '.join(missing)} not found, and only root installs it: {CURE}")
    _apt("update")
    _apt("install", "-y", "-q", "--no-install-recommends", *missing)


def _apt(*words: str) -> None:
    try:
        said = subprocess.run(
            ["apt-get", *words],
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except FileNotFoundError:
        raise BuildError(f"iptables and ip are missing, and apt-get with them: {CURE}") from None
    if said.returncode:
        raise BuildError(f"apt-get {words[0]}: {' '.join(said.stdout.split()[-30:])}; {CURE}")
