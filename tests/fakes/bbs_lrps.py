"""LRPs as a BBS writes them, for tests: short to say, and whole on the wire."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pilot_adapter_cloudfoundry.wire import MESSAGES

CELL = "10.0.16.10"
GROUP = "452aad98-dbb4-4de7-7ff7-6f63386949fd"
KEY = "-----BEGIN RSA PRIVATE KEY----- of an application"
ENVIRONMENT = "DATABASE_URL=postgres://app:hunter2-of-an-application@db"
"""What a DesiredLRP holds besides: nobody may read it."""
_UNDECLARED = bytes([0xE2, 0x03, len(ENVIRONMENT)]) + ENVIRONMENT.encode()
"""As field 60, which no schema of ours has."""
Message = Any


def process_guid(name: str, version: str = "v1") -> str:
    """36 characters of the process, and those of its version."""
    space = uuid.NAMESPACE_DNS
    return f"{uuid.uuid5(space, name)}-{uuid.uuid5(space, version)}"


def http_route(*uris: str, port: int = 8080, **more: Any) -> dict[str, Any]:
    """An entry of `cf-router`; absent values are null, as the Cloud Controller writes them."""
    made = {
        "hostnames": list(uris),
        "port": port,
        "route_service_url": None,
        "isolation_segment": None,
        "protocol": "http1",
    }
    return {**made, **more}


def tcp_route(external: int, port: int = 8080, group: str = GROUP) -> dict[str, Any]:
    return {"router_group_guid": group, "external_port": external, "container_port": port}


def desired(
    process: str,
    *,
    app: str = "app-1",
    http: Sequence[Mapping[str, Any]] = (),
    tcp: Sequence[Mapping[str, Any]] = (),
    internal: Sequence[str] = (),
    instances: int = 1,
    ports: Sequence[int] = (8080,),
    domain: str = "cf-apps",
    tags: Mapping[str, str] | None = None,
    segment: str = "",
) -> Message:
    """A DesiredLRP; the key of `diego-ssh` is among its routes, and an environment in it."""
    made = MESSAGES["DesiredLRP"](
        process_guid=process, domain=domain, instances=instances, ports=ports, log_guid=app
    )
    made.MergeFromString(_UNDECLARED)
    routes = {
        "cf-router": list(http),
        "tcp-router": list(tcp),
        "internal-router": [{"hostname": hostname} for hostname in internal],
        "diego-ssh": {"container_port": 2222, "private_key": KEY},
    }
    for kind, entries in routes.items():
        if entries:
            made.routes.routes.add(key=kind, value=json.dumps(entries).encode())
    told = {"app_id": app, "app_name": "shop", "organization_name": "acme", **(tags or {})}
    for key, value in told.items():
        made.metric_tags.add(key=key).value.static = value
    made.metric_tags.add(key="instance_id").value.dynamic = 1
    if segment:
        made.placement_tags.append(segment)
    made.modification_tag.epoch = str(uuid.uuid4())
    return made


def mapping(container: int, host: int, container_tls: int, host_tls: int) -> Message:
    return MESSAGES["PortMapping"](
        container_port=container,
        host_port=host,
        container_tls_proxy_port=container_tls,
        host_tls_proxy_port=host_tls,
    )


def running(
    guid: str,
    process: str,
    index: int = 0,
    *,
    address: str = CELL,
    port: int = 61010,
    container: str = "10.255.77.4",
    routable: bool | None = True,
    ports: Sequence[Message] | None = None,
    cell: str = "cell-1",
) -> Message:
    """An ActualLRP that runs; `port` is that of the host, and TLS is spoken beside it."""
    made = MESSAGES["ActualLRP"](state="RUNNING", since=1, availability_zone="z1")
    made.key.process_guid, made.key.index, made.key.domain = process, index, "cf-apps"
    made.instance_key.instance_guid, made.instance_key.cell_id = guid, cell
    made.net_info.address, made.net_info.instance_address = address, container
    made.net_info.preferred_address = 2
    usual = [mapping(8080, port, 61001, port + 1), mapping(8080, port, 61443, port + 2)]
    made.net_info.ports.extend(usual if ports is None else ports)
    if routable is not None:
        made.routable = routable
    made.modification_tag.epoch, made.modification_tag.index = str(uuid.uuid4()), 2
    return made


def info(lrp: Message) -> Message:
    """What of an ActualLRP stands in an event that it has changed."""
    made = MESSAGES["ActualLRPInfo"](
        state=lrp.state,
        since=lrp.since,
        presence=lrp.presence,
        availability_zone=lrp.availability_zone,
    )
    made.net_info.CopyFrom(lrp.net_info)
    made.modification_tag.CopyFrom(lrp.modification_tag)
    if lrp.HasField("routable"):
        made.routable = lrp.routable
    return made
