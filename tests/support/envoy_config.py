"""What a real Envoy says of resources: `--mode validate` on a bootstrap that holds all of them."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

from components import envoy_binary
from pilot_xds.bootstrap import AGENT_CLUSTER

Resources = dict[str, list[dict[str, Any]]]

_HTTP_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_NOBODY = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}}}


def _cluster(name: str) -> dict[str, Any]:
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [_NOBODY]}]}
    return {"name": name, "type": "STATIC", "load_assignment": assignment}


_XDS, _AGENT = _cluster("xds"), _cluster(AGENT_CLUSTER)


def bootstrap(resources: Resources) -> dict[str, Any]:
    """A bootstrap with all resources in it, as they are; load assignments and routes, which have
    no place of their own in one, as parts of clusters and listeners that stand beside them."""
    return {
        "node": {"id": "check", "cluster": "check"},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
            }
        },
        "static_resources": {
            "clusters": [
                _XDS,
                _AGENT,
                *map(_with_roots_from_elsewhere, resources["clusters"]),
                *map(_holding, resources["endpoints"]),
            ],
            "listeners": [
                *(_as_listener(made, at) for at, made in enumerate(resources["listeners"])),
                *(_routing(made, at) for at, made in enumerate(resources["routes"])),
            ],
        },
    }


def _with_roots_from_elsewhere(cluster: dict[str, Any]) -> dict[str, Any]:
    """The cluster with another source for secrets that come over ADS: the clusters of a bootstrap
    begin before ADS does, and Envoy 1.40 falls over a null pointer there. Those that come over ADS
    themselves do not: tests of platforms' TLS see that."""
    made = copy.deepcopy(cluster)
    for match in made.get("transport_socket_matches", ()):
        common = match["transport_socket"]["typed_config"]["common_tls_context"]
        source = common.get("validation_context_sds_secret_config", {}).get("sds_config", {})
        if source.pop("ads", None) is not None:
            grpc = {"envoy_grpc": {"cluster_name": AGENT_CLUSTER}}
            api = {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [grpc]}
            source["api_config_source"] = api
    return made


def validate(made: dict[str, Any], folder: Path) -> str:
    """What Envoy objects to; empty where it takes all of it."""
    path = folder / "bootstrap.json"
    path.write_text(json.dumps(made))
    command = [str(envoy_binary()), "--mode", "validate", "-c", str(path), "-l", "error"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return "" if run.returncode == 0 else run.stdout + run.stderr


def _holding(assignment: dict[str, Any]) -> dict[str, Any]:
    name = f"check/{assignment['cluster_name']}"
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {**assignment, "cluster_name": name},
    }


def _as_listener(made: dict[str, Any], at: int) -> dict[str, Any]:
    """A gRPC library's listener with the address that an Envoy wants; any other as it is."""
    if "api_listener" not in made:
        return made
    manager = copy.deepcopy(made["api_listener"]["api_listener"])
    return _listener(made["name"], {**manager, "stat_prefix": "api"}, 10_000 + at)


def _routing(routes: dict[str, Any], at: int) -> dict[str, Any]:
    router = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
    manager = {
        "@type": f"type.googleapis.com/{_HTTP_MANAGER}",
        "stat_prefix": "check",
        "http_filters": [{"name": "router", "typed_config": router}],
        "route_config": routes,
    }
    return _listener("check/" + routes["name"], manager, 60_000 + at)


def _listener(name: str, manager: dict[str, Any], port: int) -> dict[str, Any]:
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.250", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def standalone(resources: Resources) -> dict[str, Any]:
    """A bootstrap that works by itself: load assignments inside their clusters, and routes inside
    their listeners, as if a server had sent them."""
    made = copy.deepcopy(resources)
    assignments = {a["cluster_name"]: a for a in made["endpoints"]}
    routes = {r["name"]: r for r in made["routes"]}
    for cluster in made["clusters"]:
        if cluster.pop("eds_cluster_config", None):
            cluster.update(type="STATIC", load_assignment=assignments[cluster["name"]])
    for listener in made["listeners"]:
        for manager in (f["typed_config"] for f in listener["filter_chains"][0]["filters"]):
            if "rds" in manager:
                manager["route_config"] = routes[manager.pop("rds")["route_config_name"]]
    return {
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "static_resources": {"clusters": made["clusters"], "listeners": made["listeners"]},
    }
