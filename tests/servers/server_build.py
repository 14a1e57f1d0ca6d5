"""The real servers and checkers of the integration tests, built once from pinned sources and kept.

    python server_build.py [consul] [kubernetes] [etcd] [h2spec] [mesos] [zookeeper] [iptables]

Rule 1: a server on PATH of the pinned minor version is as good as one that is built.
Rule 2: what is built lies in a folder named by a hash of the pins, in the user's cache folder, so
that every checkout of this repository finds it.
Rule 3: two builds at a time are one build and one that waits for it.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import iptables_build
import mesos_build
import zookeeper_build
from server_cache import BuildError, cache

HERE = Path(__file__).resolve().parent
GO = "install Go 1.26 or newer (go.dev/dl), and run `make servers`"
_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One Go module: the package behind each binary, and how the binary tells its version."""

    module: str
    pinned: str
    """The Go module whose version is the server's."""
    binaries: Mapping[str, str]
    says_version: tuple[str, ...]
    takes: str

    @property
    def folder(self) -> Path:
        return HERE / self.module

    @property
    def version(self) -> str:
        """Such as `1.22.7`."""
        text = (self.folder / "go.mod").read_text()
        found = re.search(rf"{re.escape(self.pinned)} v(\S+)", text)
        if found is None:
            raise BuildError(f"{self.folder / 'go.mod'} does not pin {self.pinned}")
        return found[1]

    @property
    def home(self) -> Path:
        """Where its binaries are kept."""
        pins = (self.folder / "go.mod").read_bytes() + (self.folder / "go.sum").read_bytes()
        return cache() / f"{self.module}-{hashlib.sha256(pins).hexdigest()[:16]}"

    @property
    def linker_flags(self) -> str:
        """No symbols; and for Kubernetes the version, which the pinned sources do not know."""
        flags = ["-s", "-w"]
        if self.module == "kubernetes":
            major, minor, _ = self.version.split(".", 2)
            known = {"gitVersion": f"v{self.version}", "gitMajor": major, "gitMinor": minor}
            package = "k8s.io/component-base/version"
            flags += [f"-X {package}.{name}={value}" for name, value in known.items()]
        return " ".join(flags)


RECIPES = {
    recipe.module: recipe
    for recipe in (
        Recipe(
            "consul",
            "github.com/hashicorp/consul",
            {"consul": "github.com/hashicorp/consul"},
            ("version",),
            "about 4 minutes and 2 GB",
        ),
        Recipe(
            "kubernetes",
            "k8s.io/kubernetes",
            {
                name: f"k8s.io/kubernetes/cmd/{name}"
                for name in ("kube-apiserver", "kube-controller-manager")
            },
            ("--version",),
            "about 4 minutes and 3 GB",
        ),
        Recipe(
            "etcd",
            "go.etcd.io/etcd/server/v3",
            {"etcd": "go.etcd.io/etcd/server/v3"},
            ("--version",),
            "about 1 minute",
        ),
        Recipe(
            "helm",
            "helm.sh/helm/v3",
            {"helm": "helm.sh/helm/v3/cmd/helm"},
            ("version",),
            "about 3 minutes and 1 GB",
        ),
        Recipe(
            "h2spec",
            "github.com/summerwind/h2spec",
            {"h2spec": "github.com/summerwind/h2spec/cmd/h2spec"},
            ("--version",),
            "about 20 seconds",
        ),
    )
}
_OF_BINARY = {name: recipe for recipe in RECIPES.values() for name in recipe.binaries}
_FETCHED = {
    "mesos": mesos_build.build,
    "zookeeper": zookeeper_build.build,
    "iptables": iptables_build.build,
}
_ALL = (*RECIPES, *_FETCHED)


def find(binary: str) -> Path | None:
    """The binary: built before, or on PATH in the pinned minor version. None where neither is."""
    recipe = _OF_BINARY[binary]
    built = recipe.home / binary
    if built.exists():
        return built
    on_path = shutil.which(binary)
    return Path(on_path) if on_path and _fits(recipe, on_path) else None


def build(module: str) -> None:
    """Build the module unless its binaries are there. Raises BuildError."""
    recipe = RECIPES[module]
    if all(find(binary) for binary in recipe.binaries):
        return
    recipe.home.parent.mkdir(parents=True, exist_ok=True)
    with (recipe.home.parent / f"{module}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not recipe.home.is_dir():
            _compile(recipe)


def _fits(recipe: Recipe, binary: str) -> bool:
    try:
        command = [binary, *recipe.says_version]
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    minor = recipe.version.rpartition(".")[0]
    return re.search(rf"\bv?{re.escape(minor)}\.\d", said.stdout) is not None


def _compile(recipe: Recipe) -> None:
    go = shutil.which("go")
    if go is None:
        raise BuildError(f"{recipe.module} {recipe.version} is built from Go sources: {GO}")
    print(
        f"== building {recipe.module} {recipe.version} for the tests, once "
        f"({recipe.takes} in Go's cache), into {recipe.home}",
        flush=True,
    )
    scratch = Path(tempfile.mkdtemp(prefix=f".{recipe.module}-", dir=recipe.home.parent))
    try:
        for binary, package in recipe.binaries.items():
            command = [go, "build", *_FLAGS, "-ldflags", recipe.linker_flags]
            command += ["-o", str(scratch / binary), package]
            environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}
            said = subprocess.run(command, cwd=recipe.folder, env=environment, check=False)
            if said.returncode:
                raise BuildError(f"{binary}: go build ended with {said.returncode}; see above")
        scratch.chmod(0o755)
        scratch.rename(recipe.home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the servers of the integration tests.")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(_ALL)}")
    modules = parser.parse_args().modules or list(_ALL)
    if unknown := set(modules) - set(_ALL):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    failed = 0
    for module in modules:
        try:
            _FETCHED[module]() if module in _FETCHED else build(module)
        except BuildError as error:
            print(f"== {error}; the tests that need it are skipped", file=sys.stderr)
            failed += 1
    # A user without Go can still run the other tests; what has not been built does not pass there
    # where everything has to be.
    return 1 if failed and os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
