"""Who follows a cluster under measurement, each in a process of its own.

    python k8s_subjects.py daemon|adapter|informer KUBECONFIG OBJECTS

It prints one JSON object when it has everything, and another one whenever a line comes in.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
for folder in ("", "xds", "certs", "adapters/kubernetes"):
    sys.path.insert(0, str(ROOT / folder))

_TICK = 0.001


def resident() -> float:
    """MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


class Meter:
    """What this process has cost since it was made."""

    def __init__(self) -> None:
        self.longest = 0.0
        """Seconds of CPU that the event loop's thread spent between two turns, at most."""
        self._began, self._cpu, self._base = time.monotonic(), time.process_time(), resident()

    async def tick(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(_TICK)
            self.longest = max(self.longest, time.thread_time() - before)

    def say(self, **more: float) -> None:
        figures = {
            "wall_s": time.monotonic() - self._began,
            "cpu_s": time.process_time() - self._cpu,
            "rss_mb": resident() - self._base,
            "longest_ms": self.longest * 1000,
            **more,
        }
        print(json.dumps(figures), flush=True)
        self.longest = 0.0


async def adapter(kubeconfig: str, objects: int) -> None:
    """The adapter over the sink of production, without the world that follows from it."""
    from pilot_adapter_kubernetes.adapter import Kubernetes, KubernetesConfig

    from pilot_core.clock import SystemClock
    from pilot_core.daemon.run import GC_THRESHOLDS
    from pilot_core.registry.guard import Guard
    from pilot_core.registry.mirror import Mirror
    from pilot_core.registry.remarks import Remarks
    from pilot_core.registry.session import Session
    from pilot_core.telemetry.problems import Problems
    from pilot_core.testing import host

    clock, synced = SystemClock(), asyncio.Event()
    problems, mirror = Problems(clock), Mirror(lambda registry: None)
    guard = Guard("c", max_drop=1, problems=problems, clock=clock, size=lambda: mirror.count("c"))
    remarks = Remarks("c", problems)
    sink = Session("c", mirror, guard=guard, remarks=remarks, on_synced=synced.set)
    gc.set_threshold(*GC_THRESHOLDS)
    meter = Meter()
    ticking = asyncio.create_task(meter.tick())
    one = Kubernetes(KubernetesConfig(kubeconfig=Path(kubeconfig)), host())
    running = asyncio.create_task(one.run(sink))
    await synced.wait()
    meter.say(objects=mirror.count("c"))
    while await asyncio.to_thread(sys.stdin.readline):
        meter.say(objects=mirror.count("c"))
    ticking.cancel()
    running.cancel()


async def daemon(kubeconfig: str, objects: int) -> None:
    """The daemon's own parts, in the way in which it runs them."""
    from pilot_core.config import load
    from pilot_core.daemon.parts import Parts, registrations
    from pilot_core.daemon.run import GC_THRESHOLDS
    from pilot_core.registry import loader

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pilot.yaml"
        file.write_text(
            "apiVersion: pilot-core/v1\n"
            f"adapters: [{{name: c, kind: kubernetes, config: {{kubeconfig: {kubeconfig}}}}}]\n"
            'xds: {address: "127.0.0.1:0"}\nadmin: {address: "127.0.0.1:0"}\n'
        )
        settings = load.load(file, adapter_types=loader.load)
    parts = Parts(settings, None)
    gc.set_threshold(*GC_THRESHOLDS)
    meter = Meter()
    ticking = asyncio.create_task(meter.tick())
    await parts.hub.start(registrations(settings))
    while len(parts.hub.world.endpoints) < objects:
        await asyncio.sleep(0.02)
    meter.say(objects=len(parts.hub.world.endpoints))
    while await asyncio.to_thread(sys.stdin.readline):
        meter.say(objects=len(parts.hub.world.endpoints))
    ticking.cancel()
    await parts.hub.stop()


def informer(kubeconfig: str, objects: int) -> None:
    """The informer of the Kubernetes client for Python, for the same four kinds."""
    from kubernetes.client import CoreV1Api, DiscoveryV1Api
    from kubernetes.informer import SharedInformer

    from kubernetes import config

    logging.disable(logging.CRITICAL)
    config.load_kube_config(kubeconfig)
    core, discovery = CoreV1Api(), DiscoveryV1Api()
    kinds = (
        core.list_service_for_all_namespaces,
        core.list_pod_for_all_namespaces,
        core.list_node,
        discovery.list_endpoint_slice_for_all_namespaces,
    )
    meter = Meter()
    informers = [SharedInformer(list_func=kind) for kind in kinds]
    for one in informers:
        one.start()
    wanted = [one for one in informers if one is not informers[2]]
    while any(len(one.cache.list_keys()) < objects for one in wanted):
        threading.Event().wait(0.05)
    meter.say(objects=min(len(one.cache.list_keys()) for one in wanted))
    while sys.stdin.readline():
        meter.say()
    sys.stdout.flush()


if __name__ == "__main__":
    who, where, how_many = sys.argv[1:]
    if who == "informer":
        informer(where, int(how_many))
    else:
        asyncio.run({"daemon": daemon, "adapter": adapter}[who](where, int(how_many)))
