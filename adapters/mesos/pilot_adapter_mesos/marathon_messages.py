"""What is read of Marathon's answers, 1.4 to 1.11. What a version leaves out has its default here.

Source: mesosphere.github.io/marathon, REST API: /v2/info, /v2/apps, /v2/pods/::status.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Info(msgspec.Struct, frozen=True, rename="camel"):
    """`/v2/info`: which framework this Marathon is."""

    framework_id: str | None = None
    name: str = ""


class HealthCheck(msgspec.Struct, frozen=True, rename="camel"):
    protocol: str = "HTTP"
    max_consecutive_failures: int = 3


class HealthResult(msgspec.Struct, frozen=True, rename="camel"):
    alive: bool = False
    consecutive_failures: int = 0
    last_success: str | None = None


class Task(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    state: str = ""
    version: str = ""
    ports: tuple[int, ...] = ()
    """Host ports, in the order of the definitions that have one."""
    health_check_results: tuple[HealthResult, ...] | None = None


class PortDefinition(msgspec.Struct, frozen=True, rename="camel"):
    port: int = 0


class PortMapping(msgspec.Struct, frozen=True, rename="camel"):
    container_port: int = 0
    host_port: int | None = None
    service_port: int = 0


class Docker(msgspec.Struct, frozen=True, rename="camel"):
    port_mappings: tuple[PortMapping, ...] | None = None


class Container(msgspec.Struct, frozen=True, rename="camel"):
    docker: Docker | None = None
    """Before 1.5 the mappings stood here."""
    port_mappings: tuple[PortMapping, ...] | None = None


class Deployment(msgspec.Struct, frozen=True):
    id: str = ""


class ReadinessCheck(msgspec.Struct, frozen=True):
    name: str = ""


class ReadinessResult(msgspec.Struct, frozen=True, rename="camel"):
    task_id: str = ""
    ready: bool = False


class App(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    labels: dict[str, str] = {}
    version: str = ""
    port_definitions: tuple[PortDefinition, ...] | None = None
    container: Container | None = None
    health_checks: tuple[HealthCheck, ...] = ()
    readiness_checks: tuple[ReadinessCheck, ...] = ()
    readiness_check_results: tuple[ReadinessResult, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    tasks: tuple[Task, ...] = ()

    @property
    def mappings(self) -> tuple[PortMapping, ...]:
        if self.container is None:
            return ()
        docker = self.container.docker
        return self.container.port_mappings or (docker.port_mappings if docker else None) or ()


class Apps(msgspec.Struct, frozen=True):
    apps: tuple[msgspec.Raw, ...] = ()


class Condition(msgspec.Struct, frozen=True):
    name: str = ""
    value: str = ""


class PodEndpoint(msgspec.Struct, frozen=True):
    healthy: bool | None = None


class PodContainer(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    container_id: str = ""
    """The id of its task."""
    conditions: tuple[Condition, ...] = ()
    endpoints: tuple[PodEndpoint, ...] = ()


class PodInstance(msgspec.Struct, frozen=True):
    id: str = ""
    containers: tuple[PodContainer, ...] = ()


class ContainerSpec(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    labels: dict[str, str] = {}
    health_check: dict[str, Any] | None = None


class PodSpec(msgspec.Struct, frozen=True):
    labels: dict[str, str] = {}
    version: str = ""
    containers: tuple[ContainerSpec, ...] = ()


class Pod(msgspec.Struct, frozen=True):
    id: str
    spec: PodSpec = PodSpec()
    instances: tuple[PodInstance, ...] = ()
