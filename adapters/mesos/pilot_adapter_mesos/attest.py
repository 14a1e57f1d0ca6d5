"""Which task somebody is: what it says of itself, and what Mesos says of where it runs.

Mesos gives tasks nothing to show that only they could have. So what is told has to be right, the id
of the container above all, which is random and known on its agent; and the call has to come from
where the task runs.

Rule 1: only a task that runs now, by the word of a master that is heard now, is anybody.
Rule 2: an identity is what the settings grant (`identity.py`), whatever labels say.
"""

from __future__ import annotations

import ipaddress

import msgspec

from pilot_adapter_mesos import convert, identity, ports
from pilot_adapter_mesos.cluster import Cluster
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.convert import About
from pilot_adapter_mesos.instance import RUNNING, Instance
from pilot_core.adapter import Denied
from pilot_core.model import Evidence, Workload

KIND = "token"


class Said(msgspec.Struct, frozen=True):
    """The proof, as JSON: a task sees all four in its sandbox and its environment."""

    framework_id: str
    task_id: str
    container_id: str
    agent_id: str


def said(evidence: Evidence) -> Said:
    """Raises Denied."""
    if evidence.kind != KIND:
        raise Denied(f"a proof of kind {evidence.kind[:40]!r} is none of a task")
    try:
        return msgspec.json.decode(evidence.payload, type=Said)
    except msgspec.MsgspecError as error:
        raise Denied(f"the proof cannot be read: {error}") from None


def workload(proof: Said, peer: str, cluster: Cluster, config: MesosConfig) -> Workload:
    """The task that this proves. Raises Denied."""
    key = proof.framework_id, proof.task_id
    found = cluster.tasks.get(key)
    framework, agent = cluster.frameworks.get(key[0]), cluster.agent(found) if found else None
    if found is None or framework is None or agent is None:
        raise Denied(f"no task {proof.task_id!r} of {proof.framework_id!r} is known")
    if found.state != RUNNING or found.is_lost:
        raise Denied(f"the task {proof.task_id!r} does not run")
    if not found.container or found.container != proof.container_id:
        raise Denied(f"the task {proof.task_id!r} runs in another container")
    if found.task.agent_id.value != proof.agent_id:
        raise Denied(f"the task {proof.task_id!r} runs on another agent")
    about = About(agent, framework, cluster.pod_labels(found))
    addresses = _addresses(found, about, config)
    if _host(peer) not in addresses:
        raise Denied(f"the call comes from {peer}, and the task {proof.task_id!r} runs elsewhere")
    labels = convert.all_labels(found, about)
    account = identity.account(found.task, labels, framework, config.grants).name
    namespace = convert.namespace(found, framework, config.namespace)
    if not account or not namespace:
        raise Denied(f"neither the framework nor the role of {proof.task_id!r} makes an account")
    selectors = {
        "mesos.framework": framework.name,
        "mesos.principal": framework.principal,
        "mesos.role": identity.role(found.task),
        "mesos.task-id": proof.task_id,
        "mesos.agent-id": proof.agent_id,
    }
    return Workload(
        path=f"/ns/{namespace}/sa/{account}",
        namespace=namespace,
        service_account=account,
        addresses=tuple(sorted(addresses)),
        selectors=tuple((name, value) for name, value in selectors.items() if value),
    )


def _addresses(found: Instance, about: About, config: MesosConfig) -> set[str]:
    """Its own, and its agent's, from where everything on the host's network calls."""
    own = {ip.ip_address for network in found.networks for ip in network.ip_addresses}
    agent_ip = convert.address(about.agent, config.agent_address)
    return {address for address in (*own, agent_ip) if ports.is_usable(address)}


def _host(peer: str) -> str:
    """The address in `10.0.0.1:1234` or `[fd00::1]:1234`; the text itself where it is one."""
    host = peer.rpartition(":")[0].strip("[]")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return peer
