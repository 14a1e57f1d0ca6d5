"""Read a cluster as a pod does that runs in it, and print what is there as JSON.

    python in_pod.py TOKEN CA HOST PORT

The files of a pod's service account lie where pods have them, which nobody else on this machine
sees: this moves into a mount namespace of its own. It takes root.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import json
import os
import shutil
import sys
from pathlib import Path

_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x20000, 0x4000, 0x40000
_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_libc = ctypes.CDLL(None, use_errno=True)


def _move(token: str, ca: str) -> None:
    run = str(Path("/var/run").resolve()).encode()
    for result in (
        _libc.unshare(_CLONE_NEWNS),
        _libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None),
        _libc.mount(b"tmpfs", run, b"tmpfs", 0, None),
    ):
        if result:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    _FOLDER.mkdir(parents=True)
    shutil.copy(token, _FOLDER / "token")
    shutil.copy(ca, _FOLDER / "ca.crt")
    (_FOLDER / "namespace").write_text("pilot-core")


async def _read() -> list[str]:
    from pilot_adapter_kubernetes.adapter import Kubernetes, KubernetesConfig

    from pilot_core.testing import host, session

    # From a cold disk that takes longer than tests have patience.
    importlib.import_module("kubernetes.client")
    async with session(Kubernetes(KubernetesConfig(), host())) as sink:
        await sink.until(lambda: sink.is_synced)
        return sink.hostnames


if __name__ == "__main__":
    token, ca, host, port = sys.argv[1:]
    _move(token, ca)
    os.environ |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    print(json.dumps(asyncio.run(_read())))
