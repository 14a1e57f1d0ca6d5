"""No proxy can tell whether a world comes from a file or through Consul."""

from __future__ import annotations

import json

import same_bytes
from consul_catalogue import node_check, register
from consul_server import ConsulAgent
from mesh import mesh

CATALOGUE = """\
services:
- hostname: web.service.consul
  ports:
  - {name: http, number: 8080, protocol: http}
  endpoints:
  - address: 10.1.0.1
    ports: {http: 8080}
    locality: eu/a
    labels: {version: v1, tag.blue: "true", protocol: http}
    workload: web
    service_account: web
    weight: 3
  - address: 10.1.0.2
    ports: {http: 9090}
    health: unhealthy
    locality: dc1
    labels: {protocol: http}
    workload: web
    service_account: web
- hostname: db.service.consul
  ports:
  - {name: admin, number: 81, protocol: grpc}
  - {name: mysql, number: 3306, protocol: mysql}
  endpoints:
  - address: 10.1.0.3
    ports: {admin: 81, mysql: 3306}
    health: draining
    locality: dc1
    labels: {protocol_admin: grpc}
    workload: db
    service_account: db
- hostname: mail.service.consul
  ports:
  - {name: tcp, number: 25, protocol: tcp}
  resolution: dns
  endpoints:
  - {address: mx.example.com, ports: {tcp: 25}, locality: dc1, workload: mail,
     service_account: mail}
- hostname: local.service.consul
  ports:
  - {name: grpc, number: 80, protocol: grpc}
  endpoints:
  - {address: "unix:///run/local.sock", ports: {grpc: 80}, locality: dc1, workload: local,
     service_account: local, labels: {protocol: grpc}}
"""
"""What `fill` registers, as people would write it down."""


async def fill(consul: ConsulAgent) -> None:
    http, eu = {"protocol": "http"}, {"Region": "eu", "Zone": "a"}
    await register(
        consul,
        "web",
        "10.1.0.1",
        Meta={"version": "v1", **http},
        Tags=["blue"],
        Weights={"Passing": 3, "Warning": 1},
        Locality=eu,
    )
    critical = {"up": "critical"}
    await register(consul, "web", "10.1.0.2", Port=9090, Meta=http, checks=critical)
    ports = [{"Name": "mysql", "Port": 3306, "Default": True}, {"Name": "admin", "Port": 81}]
    grpc_admin = {"protocol_admin": "grpc"}
    await register(consul, "db", "10.1.0.3", Port=0, Ports=ports, node="node-2", Meta=grpc_admin)
    await node_check(consul, "_node_maintenance", "critical", "node-2")
    await register(consul, "mail", "MX.example.com", Port=25)
    grpc = {"protocol": "grpc"}
    await register(consul, "local", "", Port=0, SocketPath="/run/local.sock", Meta=grpc)


async def own_service(consul: ConsulAgent) -> str:
    """Consul's own service, which it registers by itself, as it would be written down."""
    [instance] = await consul.call("GET", "/v1/catalog/service/consul")
    entry = {
        "hostname": "consul.service.consul",
        "ports": [{"name": "tcp", "number": instance["ServicePort"], "protocol": "tcp"}],
        "endpoints": [
            {
                "address": instance["Address"],
                "ports": {"tcp": instance["ServicePort"]},
                "locality": "dc1",
                "labels": instance["ServiceMeta"],
                "workload": "consul",
                "service_account": "consul",
            }
        ],
    }
    return f"- {json.dumps(entry)}\n"


async def test_a_proxy_cannot_tell_consul_from_a_file(consul):
    await fill(consul)
    async with mesh() as stage:
        daemon = await stage.daemon(
            f'- {{name: dc1, kind: consul, config: {{address: "{consul.address}"}}}}\n'
        )
        await same_bytes.assert_served(stage, daemon, CATALOGUE + await own_service(consul))
