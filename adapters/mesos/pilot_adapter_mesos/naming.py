"""What a task's service is called: hostnames as Mesos-DNS forms them, with dots kept.

Sources: mesosphere.github.io/mesos-dns, "Service naming"; RFC 1123 §2.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from pilot_adapter_mesos.messages import Task

SERVICE_LABEL = "mesh.service"
_SEPARATORS = re.compile(r"[._-]+")
_OTHERS = re.compile(r"[^a-z0-9-]")
_LABEL_LIMIT, _NAME_LIMIT = 63, 253
_DCOS = "thisdcos.directory"


class Unnamed(Exception):
    """No hostname can be made of what a task is called."""


class ServiceKey(msgspec.Struct, frozen=True, gc=False, order=True):
    """A service of a framework. `framework` is its name, which two frameworks may have."""

    framework: str
    service: str
    framework_id: str = ""


def key(task: Task, framework: str, labels: Mapping[str, str]) -> ServiceKey:
    """The label `mesh.service`, else the discovery name, else the task's name."""
    name = labels.get(SERVICE_LABEL) or task.discovery.name or task.name
    return ServiceKey(framework, name, task.framework_id.value)


def hostname(found: ServiceKey, domain: str) -> str:
    """`web.prod.marathon.mesos`: each label mangled on its own. Raises Unnamed."""
    return _joined(found, dotted(found.service), dotted(found.framework), domain)


def flat(found: ServiceKey, domain: str) -> str:
    """`web-prod.marathon.mesos`: Mesos-DNS' other form, a single label for the service."""
    return _joined(found, label(found.service), dotted(found.framework), domain)


def autoip(found: ServiceKey) -> str:
    """`web-prod.marathon.autoip.dcos.thisdcos.directory`, as DC/OS' DNS has it."""
    names = label(found.service), label(found.framework)
    return _joined(found, *names, f"autoip.dcos.{_DCOS}")


def virtual(name: str, framework: str) -> str:
    """`web.marathon.l4lb.thisdcos.directory`: of `/web:80` in a label VIP_0, the name. Raises
    Unnamed."""
    found = ServiceKey(framework, name)
    return _joined(found, label(name), label(framework), f"l4lb.{_DCOS}")


def _joined(found: ServiceKey, *parts: str) -> str:
    name = ".".join(parts)
    if not all(parts) or len(name) > _NAME_LIMIT:
        raise Unnamed(f"no hostname can be made of {found.service!r} of {found.framework!r}")
    return name


def dotted(text: str) -> str:
    """Each label between dots mangled; empty ones are left out."""
    return ".".join(part for part in map(label, text.split(".")) if part)


def label(text: str) -> str:
    """Lower case, separators to hyphens, everything else left out, 63 characters at most."""
    mangled = _OTHERS.sub("", _SEPARATORS.sub("-", text.lower()))
    return mangled[:_LABEL_LIMIT].strip("-")
