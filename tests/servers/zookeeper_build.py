"""ZooKeeper for the tests: Debian's packages, downloaded and unpacked in the cache.

It takes a Java runtime; where there is none, Debian's is installed, as root.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from server_cache import BuildError, cache

CURE = "on Debian, run `make servers` (as root where there is no Java)"
_PACKAGES = (
    "libzookeeper-java",
    "libslf4j-java",
    "libcommons-cli-java",
    "libdropwizard-metrics-java",
    "libnetty-java",
    "libsnappy-java",
)


def home() -> Path:
    pins = hashlib.sha256(" ".join(_PACKAGES).encode()).hexdigest()[:16]
    return cache() / f"zookeeper-{pins}"


def build() -> None:
    """Fetch it unless it is there. Raises BuildError."""
    if not shutil.which("java"):
        _run("apt-get", "update")
        _run("apt-get", "install", "-y", "-q", "--no-install-recommends", "default-jre-headless")
    home().parent.mkdir(parents=True, exist_ok=True)
    with (home().parent / "zookeeper.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home().is_dir():
            _unpack()


def _unpack() -> None:
    print(f"== fetching ZooKeeper for the tests, once (6 MB), into {home()}", flush=True)
    scratch = Path(tempfile.mkdtemp(prefix=".zookeeper-", dir=home().parent))
    try:
        download = ("apt-get", "-o", "APT::Sandbox::User=root", "download", *_PACKAGES)
        if subprocess.run(download, cwd=scratch, capture_output=True, check=False).returncode:
            _run("apt-get", "update")
            _run(*download, cwd=scratch)
        for file in scratch.glob("*.deb"):
            _run("dpkg-deb", "-x", str(file), str(scratch))
        scratch.chmod(0o755)
        scratch.rename(home())
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run(*command: str, cwd: Path | None = None) -> None:
    try:
        said = subprocess.run(
            command,
            cwd=cwd,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except FileNotFoundError:
        raise BuildError(f"ZooKeeper takes {command[0]}: {CURE}") from None
    if said.returncode:
        words = "\n".join(said.stdout.strip().splitlines()[-3:])
        raise BuildError(f"{' '.join(command[:3])}: {words}; {CURE}")
