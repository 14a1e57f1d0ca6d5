"""A real Mesos master for the tests, without a build of Mesos: one shared library of a package.

The Python package `mesos.scheduler` for Linux on x86_64 has a library with all of Mesos linked in.
It is fetched, checked by its digest, and given what today's systems have no more.

Rule 1: nothing is installed: system libraries are downloaded as packages and unpacked in the cache.
Rule 2: OpenSSL 1.0.0 and the libcurl of its time are replaced by functions that do nothing: the
master loads, and speaks plain HTTP.
Rule 3: what is built lies in a folder named by a hash of the pins and steps of this file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import mesos_messages
from server_cache import BuildError, cache

CURE = "install gcc on Debian for x86_64 (apt-get install gcc libc6-dev), and run `make servers`"
_VERSION = "1.11.0"
_ARCHIVE = f"mesos.scheduler==={_VERSION}.linux-x86_64"
_SHA256 = "84d7ee9af27e912636b139de40257df1ee4f56c201de6bba834278aa1e8fd64c"
_PIP = "pip==23.2.1"
"""Newer ones refuse the archive's version, which is not of the form that has become the rule."""

_PACKAGES = {
    "libsvn_delta-1.so.1": "libsvn1",
    "libsvn_subr-1.so.1": "libsvn1",
    "libapr-1.so.0": "libapr1",
    "libaprutil-1.so.0": "libaprutil1",
    "libserf-1.so.1": "libserf-1-1",
    "libutf8proc.so.2": "libutf8proc2",
    "libutf8proc.so.3": "libutf8proc3",
    "libsasl2.so.2": "libsasl2-2",
    "libexpat.so.1": "libexpat1",
    "liblz4.so.1": "liblz4-1",
    "libsqlite3.so.0": "libsqlite3-0",
    "libdb-5.3.so": "libdb5.3",
    "libuuid.so.1": "libuuid1",
    "libcrypt.so.1": "libcrypt1",
}
"""Debian's package for each library that Mesos needs, itself or through another."""

_REPLACED = {
    "OPENSSL_": ("libssl.so.1.0.0", "libcrypto.so.1.0.0"),
    "CURL_": ("libcurl.so.4",),
}
"""The libraries that stand-ins are made of, by how the versions of their symbols begin."""


def home() -> Path:
    steps = Path(__file__).read_bytes() + Path(mesos_messages.__file__).read_bytes()
    return cache() / f"mesos-{hashlib.sha256(steps).hexdigest()[:16]}"


def find() -> Path | None:
    """The folder with the library; None where it has not been built."""
    return home() if home().is_dir() else None


def library(root: Path) -> Path:
    return root / "_scheduler.so"


def environment(root: Path) -> dict[str, str]:
    """What a process that loads the library has to be started with."""
    unpacked = root / "system" / "usr" / "lib"
    folders = (root / "stand-ins", unpacked / "x86_64-linux-gnu", unpacked)
    return {"LD_LIBRARY_PATH": ":".join(map(str, folders))}


def build() -> None:
    """Build it unless it is there. Raises BuildError."""
    if find():
        return
    missing = [name for name in ("gcc", "objdump", "apt-get", "dpkg-deb") if not shutil.which(name)]
    if missing or sys.platform != "linux" or platform.machine() != "x86_64":
        raise BuildError(f"mesos {_VERSION} needs {', '.join(missing) or 'another system'}: {CURE}")
    home().parent.mkdir(parents=True, exist_ok=True)
    with (home().parent / "mesos.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not find():
            _build()


def _build() -> None:
    print(
        f"== fetching mesos {_VERSION} for the tests, once (about 10 s and 130 MB), into {home()}",
        flush=True,
    )
    scratch = Path(tempfile.mkdtemp(prefix=".mesos-", dir=home().parent))
    try:
        _fetch_library(scratch)
        _build_stand_ins(scratch)
        _fetch_system_libraries(scratch)
        mesos_messages.extract(library(scratch), scratch)
        scratch.chmod(0o755)
        scratch.rename(home())
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fetch_library(root: Path) -> None:
    """Keep one file of the archive. An archive of this kind cannot be installed: pip unpacks it,
    fails, and with `--no-clean` leaves what it has unpacked."""
    with tempfile.TemporaryDirectory(dir=root) as folder:
        old = Path(folder) / "pip"
        pip = (sys.executable, "-m", "pip")
        fetched = _run(*pip, "install", "-q", "--no-deps", "--target", str(old), _PIP)
        if fetched.returncode:
            raise BuildError(f"{_PIP} could not be fetched: {_end(fetched)}")
        download = ("download", "--no-clean", "--no-cache-dir", "--no-deps", "-d", folder)
        said = _run(*pip, *download, _ARCHIVE, more={"PYTHONPATH": str(old), "TMPDIR": folder})
        found = next(Path(folder).rglob("_scheduler.so"), None)
        if found is None:
            raise BuildError(f"{_ARCHIVE} could not be fetched: {_end(said)}")
        digest = hashlib.sha256(found.read_bytes()).hexdigest()
        if digest != _SHA256:
            raise BuildError(f"{_ARCHIVE}: expected the digest {_SHA256}, found {digest}")
        found.rename(library(root))


def _build_stand_ins(root: Path) -> None:
    folder = root / "stand-ins"
    folder.mkdir()
    table = _run("objdump", "-T", str(library(root))).stdout
    undefined = re.findall(r"\*UND\*.*\s\(?((?:OPENSSL|CURL)_\S+?)\)?\s+(\S+)$", table, re.M)
    for prefix, names in _REPLACED.items():
        wanted: dict[str, set[str]] = {}
        for version, symbol in undefined:
            if version.startswith(prefix):
                wanted.setdefault(version, set()).add(symbol)
        _compile(folder, names, wanted)


def _compile(folder: Path, names: tuple[str, ...], wanted: Mapping[str, set[str]]) -> None:
    source, script = folder / f"{names[0]}.c", folder / f"{names[0]}.map"
    symbols = sorted(set().union(*wanted.values()))
    source.write_text("".join(f"long {symbol}(void) {{ return 0; }}\n" for symbol in symbols))
    script.write_text(
        "".join(f"{v} {{ global: {'; '.join(sorted(wanted[v]))}; }};\n" for v in sorted(wanted))
    )
    flags = ("-w", "-fno-builtin", "-shared", "-fPIC", f"-Wl,--version-script={script}")
    for name in names:
        target = ("-o", str(folder / name), str(source))
        said = _run("gcc", *flags, f"-Wl,-soname,{name}", *target)
        if said.returncode:
            raise BuildError(f"gcc cannot build a stand-in for {name}: {_end(said)}; {CURE}")


def _fetch_system_libraries(root: Path) -> None:
    """Until the library loads, unpack the package of whatever it misses."""
    fetched: set[str] = set()
    while problem := _load_problem(root):
        found = re.search(r"(\S+\.so[\w.]*): cannot open shared object", problem)
        package = _PACKAGES.get(found[1], "") if found else ""
        if not package or package in fetched:
            raise BuildError(f"the library of mesos does not load: {problem}")
        fetched.add(package)
        _unpack(root, package)


def _load_problem(root: Path) -> str:
    program = "import ctypes, os, sys; ctypes.CDLL(sys.argv[1], os.RTLD_LAZY | os.RTLD_GLOBAL)"
    said = _run(sys.executable, "-c", program, str(library(root)), more=environment(root))
    return _end(said) if said.returncode else ""


def _unpack(root: Path, package: str) -> None:
    """Of Debian; where there are no lists of packages yet, they are fetched (which takes root).
    Since 2024 some names end with `t64`."""
    with tempfile.TemporaryDirectory(dir=root) as folder:
        names = (package, f"{package}t64")
        if not any(_has_downloaded(name, folder) for name in names):
            updated = _run("apt-get", "update")
            if not any(_has_downloaded(name, folder) for name in names):
                raise BuildError(
                    f"the Debian package {package} could not be downloaded (apt-get update: "
                    f"{_end(updated)}); run apt-get update as root, or install it"
                )
        for file in Path(folder).glob("*.deb"):
            said = _run("dpkg-deb", "-x", str(file), str(root / "system"))
            if said.returncode:
                raise BuildError(f"{file.name} cannot be unpacked: {_end(said)}")


def _has_downloaded(package: str, folder: str) -> bool:
    command = ("apt-get", "-o", "APT::Sandbox::User=root", "download", package)
    return _run(*command, cwd=folder).returncode == 0


def _run(
    *command: str, more: Mapping[str, str] | None = None, cwd: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, **(more or {})},
        cwd=cwd,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def _end(said: subprocess.CompletedProcess[str]) -> str:
    return "\n".join(said.stdout.strip().splitlines()[-3:])
