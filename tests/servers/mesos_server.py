"""A real Mesos master on loopback.

    async with MesosMaster() as master, MesosAgent(master, "node-a") as agent:
        async with MesosFramework(master, "shop") as shop:
            await shop.launch(task("web.1", "web", 31001), agent)

Its registry is on disk: a master that is killed and started again remembers its agents by name, and
knows none of their tasks until they are back.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import mesos_build
from components import absent
from server_process import LOOPBACK, Answer, Json, Process, Server, free_ports

_PROGRAM = Path(__file__).parent / "mesos_process.py"
_NOT_OURS = ("MESOS_", "LIBPROCESS_", "GLOG_")
_DOMAIN = {"fault_domain": {"region": {"name": "r1"}, "zone": {"name": "z0"}}}


class MesosMaster(Server):
    """A master that leads. After `missed_pings` seconds of silence it gives up an agent (long by
    default: a busy machine must not look like a lost agent). With a credential, such as
    `principal:secret`, the operator API wants it. `flags` are laid over its own."""

    process: Process

    def __init__(
        self,
        *,
        missed_pings: int = 60,
        credential: str = "",
        flags: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        [self.port] = free_ports(1)
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.library = _library()
        self._credential = credential
        self._flags = {
            "registry": "replicated_log",
            "hostname": "localhost",
            "allocation_interval": "100ms",
            "agent_ping_timeout": "1secs",
            "max_agent_ping_timeouts": str(missed_pings),
            "domain": json.dumps(_DOMAIN),
            **(flags or {}),
        }

    async def ask(self, kind: str, **more: Json) -> Json:
        """A call of the operator API, and what it answers. Raises Refused."""
        said = {"type": kind, **({kind.lower(): more} if more else {})}
        answer = (await self._post(said)).body
        return answer.get(kind.lower()) if answer else None

    def set_flags(self, flags: Mapping[str, str]) -> None:
        """From the next start on, besides those it has."""
        self._flags |= flags
        self.process.set_environment(self._environment())

    def set_credential(self, credential: str) -> None:
        """From the next start on, the operator API wants this one."""
        self._credential = credential
        self.set_flags(self._authentication())

    async def _post(self, said: Json, timeout: float = 60.0) -> Answer:
        headers = {}
        if self._credential:
            encoded = base64.b64encode(self._credential.encode()).decode()
            headers["authorization"] = f"Basic {encoded}"
        return await self.send("POST", "/api/v1", said, headers=headers, timeout=timeout)

    async def _start(self) -> None:
        if self._credential:
            self._flags |= self._authentication()
        command = [sys.executable, str(_PROGRAM), str(mesos_build.library(self.library))]
        self.process = Process(
            command, self.folder / "log", self._is_ready, environment=self._environment()
        )
        await self._own(self.process).start()

    async def _is_ready(self) -> bool:
        await self._post({"type": "GET_MASTER"}, timeout=5)
        return True

    def _authentication(self) -> dict[str, str]:
        principal, _, secret = self._credential.partition(":")
        file = self.folder / "credentials.json"
        file.write_text(json.dumps({"credentials": [{"principal": principal, "secret": secret}]}))
        file.chmod(0o600)
        return {"credentials": f"file://{file}", "authenticate_http_readwrite": "true"}

    def _environment(self) -> dict[str, str]:
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith(_NOT_OURS)},
            **{f"MESOS_{name.upper()}": value for name, value in self._flags.items()},
            **mesos_build.environment(self.library),
            "LIBPROCESS_IP": LOOPBACK,
            "LIBPROCESS_PORT": str(self.port),
            "GLOG_logtostderr": "1",
            "TMPDIR": str(self.folder),
        }


def _library() -> Path:
    found = mesos_build.find()
    if found is None:
        absent("the Mesos master", mesos_build.CURE)
    assert found is not None
    return found
