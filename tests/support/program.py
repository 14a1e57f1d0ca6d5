"""The program as people start it: in this process where that is enough, else as a process."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pilot_core.cli import main

PATIENCE = 30.0


class Ran(NamedTuple):
    """What a run of the program left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def pilot(*arguments: str, **environment: str) -> Ran:
    """`pilot-core ARGUMENTS…` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["pilot-core", *arguments])
        for name in ("PILOT_CORE_SERVER", "PILOT_CORE_TOKEN_FILE"):
            patch.delenv(name, raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = _exit_code()
    return Ran(code, out.getvalue(), err.getvalue())


def _exit_code() -> int:
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code if isinstance(left.value.code, int) else 0


def command(*arguments: str) -> list[str]:
    """The command line of a process of its own."""
    return [sys.executable, "-m", "pilot_core", *arguments]


def process(*arguments: str, cwd: Path | None = None, **environment: str) -> Ran:
    """`pilot-core ARGUMENTS…` as a process, run to its end."""
    ran = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


@contextlib.contextmanager
def running(config: Path, *options: str, **environment: str) -> Iterator[Running]:
    """`pilot-core run` over this configuration, ready; it ends with the block."""
    log = config.with_suffix(".log")
    with log.open("wb") as errors:
        child = subprocess.Popen(
            command("run", "-c", str(config), *options),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            env={**os.environ, **environment},
        )
    try:
        found = _line(child, log, r"^listening xds=(\S+) admin=(\S+)(?: secure=(\S+))?$")
        yield Running(child, log, found[1], found[2])
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Running(NamedTuple):
    """A daemon that runs: where it listens, and what it says."""

    child: subprocess.Popen[bytes]
    log: Path
    xds: str
    admin: str

    @property
    def server(self) -> str:
        return f"http://{self.admin}"

    def says(self, pattern: str) -> re.Match[str]:
        """Wait until it has said this."""
        return _line(self.child, self.log, pattern)


def _line(child: subprocess.Popen[bytes], log: Path, pattern: str) -> re.Match[str]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        said = log.read_text()
        if found := re.search(pattern, said, re.MULTILINE):
            return found
        if child.poll() is not None:
            raise AssertionError(f"the daemon ended:\n{said}")
        time.sleep(0.02)
    raise AssertionError(f"waited for {pattern}:\n{log.read_text()}")


CATALOGUE = """\
services:
- hostname: reviews.shop.mesh
  namespace: shop
  ports: [{name: http, number: 80, protocol: http}]
  endpoints:
  - address: 10.0.0.7
    ports: {http: 9000}
    workload: reviews-v1
    service_account: reviews
    labels: {version: v1}
    locality: west/a/1
  - {address: 10.0.0.8, health: unhealthy, weight: 3}
- hostname: ratings.shop.mesh
  namespace: shop
  ports: [{name: db, number: 27017, protocol: mongo}]
  endpoints: []
- hostname: broken.shop.mesh
  ports: [{name: http, number: eighty}]
"""
"""Two sound services and a bad one, whose fault stands in line 18, column 32."""
FAULT = ":18:32"


def write_mesh(folder: Path, *, more: str = "") -> Path:
    """A configuration over one catalogue file, on free ports; returns its path."""
    (folder / "catalogue").mkdir()
    (folder / "catalogue" / "shop.yaml").write_text(CATALOGUE)
    config = folder / "pilot.yaml"
    config.write_text(
        "apiVersion: pilot-core/v1\n"
        "adapters:\n- {name: files, kind: file, config: {paths: [catalogue]}}\n"
        'xds: {address: "127.0.0.1:0"}\n' + (more or 'admin: {address: "127.0.0.1:0"}\n')
    )
    return config
