"""Hosts of their own on one machine, around a router: for what redirects traffic.

    async with hosts("client", "server") as network:
        await network["server"].start("python", "-m", "http.server", "80")

Every host has one address (10.77.N.2) and reaches the others by the router, in whose namespace
`network.router` runs programs. It takes root. Programs are ended with their host.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from pathlib import Path

from components import absent

PROXY_GROUP = 1337
"""The group that traffic of proxies is known by."""


class Host:
    """One namespace, and what runs in it."""

    def __init__(self, namespace: str, address: str) -> None:
        self._namespace, self.address = namespace, address
        self._processes: list[Process] = []

    async def start(self, *command: str, log: Path, group: int = 0) -> None:
        """Run a program until the host ends; it writes to the log."""
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *self._inside(command, group), stdout=out, stderr=STDOUT
            )
        self._processes.append(process)

    async def run(self, *command: str) -> str:
        """What a program prints, once it has ended well. Raises OSError with its words if not."""
        process = await asyncio.create_subprocess_exec(
            *self._inside(command, 0), stdout=PIPE, stderr=PIPE
        )
        out, err = await process.communicate()
        if process.returncode:
            raise OSError(f"{' '.join(command)[:80]}: {err.decode()}")
        return out.decode()

    async def end(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    def _inside(self, command: tuple[str, ...], group: int) -> tuple[str, ...]:
        by_group = ("setpriv", "--regid", str(group), "--clear-groups") if group else ()
        return ("ip", "netns", "exec", self._namespace, *by_group, *command)


class Network(dict[str, Host]):
    """The hosts by name, around a router."""

    def __init__(self, router: Host) -> None:
        super().__init__()
        self.router = router


@contextlib.asynccontextmanager
async def hosts(*names: str) -> AsyncIterator[Network]:
    """Make them, and undo all of it in the end."""
    if os.geteuid() != 0:
        absent("root", "network namespaces are made by root")
    for program, package in (("ip", "iproute2"), ("setpriv", "util-linux"), ("iptables", "")):
        if shutil.which(program) is None:
            absent(program, f"apt-get install {package or program}")
    made: list[str] = []
    network = Network(Host(_namespace("router", made), "10.77.0.1"))
    try:
        _ip("-n", made[0], "address", "add", "10.77.0.1/32", "dev", "lo")
        _ip("netns", "exec", made[0], "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for number, name in enumerate(names, start=1):
            network[name] = Host(_namespace(name, made), f"10.77.{number}.2")
            _connect(made[0], made[-1], number)
        yield network
    finally:
        for host in (*network.values(), network.router):
            await host.end()
        for namespace in made:
            _ip("netns", "delete", namespace)


def _namespace(name: str, made: list[str]) -> str:
    namespace = f"pilot-{os.getpid()}-{name}"
    _ip("netns", "add", namespace)
    made.append(namespace)
    _ip("-n", namespace, "link", "set", "lo", "up")
    return namespace


def _connect(router: str, host: str, number: int) -> None:
    """A cable between the two, and the way to all others through it."""
    near, far = f"to{number}", "eth0"
    _ip("-n", router, "link", "add", near, "type", "veth", "peer", "name", far, "netns", host)
    _ip("-n", router, "address", "add", f"10.77.{number}.1/24", "dev", near)
    _ip("-n", host, "address", "add", f"10.77.{number}.2/24", "dev", far)
    _ip("-n", router, "link", "set", near, "up")
    _ip("-n", host, "link", "set", far, "up")
    _ip("-n", host, "route", "add", "default", "via", f"10.77.{number}.1")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
