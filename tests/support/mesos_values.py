"""Values of the adapter `mesos` for tests: a task as the operator API has it, and what it is to its
service."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from fake_mesos import FRAMEWORK, task
from pilot_adapter_mesos import convert, instance, naming
from pilot_adapter_mesos.config import MesosConfig
from pilot_adapter_mesos.convert import About, Member
from pilot_adapter_mesos.enrichment import NOTHING, Extra
from pilot_adapter_mesos.hostnames import Hostnames
from pilot_adapter_mesos.instance import Instance
from pilot_adapter_mesos.messages import Agent, FrameworkInfo, Labels, Task

AGENT_IP = "10.9.9.9"


def an_instance(said: dict[str, Any]) -> Instance:
    made = msgspec.json.decode(json.dumps(said), type=Task)
    return instance.of(made, None, now=0.0)


def with_ports(*said: dict[str, Any], **more: Any) -> Instance:
    made = task("a", "web", "10.0.0.1", **more)
    made["discovery"]["ports"]["ports"] = list(said)
    return an_instance(made)


def labels(**said: str) -> dict[str, Any]:
    named = {key.replace("__", "-").replace("_dot_", "."): v for key, v in said.items()}
    return {"labels": [{"key": key, "value": value} for key, value in named.items()]}


def a_member(
    made: Instance, *, extra: Extra = NOTHING, pod: dict[str, Any] | None = None, **settings: Any
) -> Member:
    """What the task is to its service, on an agent with a rack."""
    rack = {"name": "rack", "text": {"value": "r7"}}
    agent = {"pid": f"slave(1)@{AGENT_IP}:5051", "agent_info": {"attributes": [rack]}}
    framework = {"name": "fw", "principal": "marathon", "id": {"value": FRAMEWORK}}
    about = About(
        msgspec.convert(agent, Agent),
        msgspec.convert(framework, FrameworkInfo),
        msgspec.convert(pod or {}, Labels),
        extra,
    )
    config = MesosConfig(masters=("http://127.0.0.1:5050",), **settings)
    names = Hostnames(config.domain, config.aliases)
    key = naming.key(made.task, "fw", convert.all_labels(made, about))
    names.join(key)
    return convert.member(made, key, names.of(key), about, config)
