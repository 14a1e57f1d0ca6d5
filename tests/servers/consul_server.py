"""Real Consul on loopback: one agent, or servers that elect a leader.

    async with ConsulAgent(acl=True) as consul:
        await consul.call("PUT", "/v1/agent/service/register", {"Name": "web", "Port": 80})

Servers keep their data on disk (`-dev` keeps all in memory, and nothing would outlive a restart).
"""

from __future__ import annotations

import json
import resource
import uuid
from collections.abc import Mapping
from pathlib import Path

from server_process import LOOPBACK, Json, Process, Server, binary, free_ports, wait_for

_SPARE_FILES = 500
"""Open files that an agent needs for other things than its clients' connections."""


class ConsulAgent(Server):
    """A Consul agent: a server of one, or with `join` a client of another.

    `config` is laid over its own configuration; a `data_dir` outlives the context. With `acl`
    everything is denied by default, and `token` is the bootstrap token.
    """

    process: Process

    def __init__(
        self,
        *,
        name: str = "server-1",
        acl: bool = False,
        join: ConsulAgent | None = None,
        data_dir: Path | None = None,
        config: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.ports = dict(
            zip(("http", "https", "grpc", "server", "serf_lan"), free_ports(5), strict=True)
        )
        self.address = f"{LOOPBACK}:{self.ports['http']}"
        self.url = f"http://{self.address}"
        self.token = join.token if join else str(uuid.uuid4()) if acl else ""
        self.config = dict(config or {})
        self._join, self._data_dir = join, data_dir

    async def _start(self) -> None:
        self.prepare()
        await self._own(self.process).start()

    def prepare(self) -> None:
        """Write the configuration and make the process, not started."""
        files = {"own.json": self._own_config(), "test.json": self.config}
        command = [str(binary("consul")), "agent"]
        for name, config in files.items():
            (self.folder / name).write_text(json.dumps(config))
            command.append(f"-config-file={self.folder / name}")
        self.process = Process(command, self.folder / "log", self._is_ready)

    def _own_config(self) -> dict[str, Json]:
        ports = {**self.ports, "dns": -1, "grpc_tls": -1, "serf_wan": -1}
        if "tls" not in self.config:
            ports["https"] = -1
        config = {
            "node_name": self.name,
            "data_dir": str(self._data_dir or self.folder / "data"),
            "bind_addr": LOOPBACK,
            "ports": ports,
            "performance": {"raft_multiplier": 1},
            "disable_update_check": True,
            "limits": {"http_max_conns_per_client": _connections()},
        }
        if self._join is None:
            config |= {"server": True, "bootstrap_expect": 1}
        else:
            lan = f"{LOOPBACK}:{self._join.ports['serf_lan']}"
            config |= {"server": False, "retry_join": [lan], "retry_interval": "1s"}
        if self.token:
            tokens = {"agent": self.token}
            if self._join is None:
                tokens["initial_management"] = self.token
            config["acl"] = {"enabled": True, "default_policy": "deny", "tokens": tokens}
        return config

    async def _is_ready(self) -> bool:
        found = await self.send("GET", "/v1/health/service/consul?passing", timeout=2)
        if self._join is not None:
            return bool(found.body)
        return any(server["Node"]["Node"] == self.name for server in found.body)


class ConsulCluster(Server):
    """Consul servers that elect a leader; with `acl` they share one bootstrap token."""

    def __init__(
        self, *, size: int = 3, acl: bool = False, config: Mapping[str, Json] | None = None
    ) -> None:
        super().__init__()
        self.agents = [ConsulAgent(name=f"server-{n}", acl=acl) for n in range(1, size + 1)]
        self.token = self.agents[0].token
        lan = [f"{LOOPBACK}:{agent.ports['serf_lan']}" for agent in self.agents]
        for agent in self.agents:
            agent.token = self.token
            agent.config = {
                "bootstrap_expect": size,
                "retry_join": lan,
                "retry_interval": "1s",
                **(config or {}),
            }

    async def _start(self) -> None:
        for agent in self.agents:
            agent.folder = self.folder / agent.name
            agent.folder.mkdir()
            agent.prepare()
            self._own(agent.process).spawn()  # none is ready before most of them run
        for agent in self.agents:
            await agent.process.wait()

    async def leader(self) -> ConsulAgent:
        """Wait for a leader that runs and that all agents agree on."""
        found: ConsulAgent = await wait_for(self._leader, "a leader")
        return found

    async def _leader(self) -> ConsulAgent | None:
        running = {
            f"{LOOPBACK}:{agent.ports['server']}": agent
            for agent in self.agents
            if agent.process.running
        }
        leaders = {
            (await agent.send("GET", "/v1/status/leader", timeout=2)).body
            for agent in running.values()
        }
        return running.get(leaders.pop()) if len(leaders) == 1 else None


def _connections() -> int:
    """As many from one client as this machine lets a process have open, up to 15,000."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(15_000, max(soft - _SPARE_FILES, 200))
