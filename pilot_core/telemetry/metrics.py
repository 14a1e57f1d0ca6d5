"""Metrics of the core and of adapters, for Prometheus.

Labels come from closed sets: the names of configured adapters, states, kinds. No service, no proxy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from pilot_core import __version__

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
PREFIX = "pilot_adapter_"
M = TypeVar("M", Counter, Gauge)


class AdapterMetrics:
    """What one adapter counts: `pilot_core.adapter.Metrics`, labelled with the adapter's name."""

    def __init__(self, registry: CollectorRegistry, known: dict[str, Counter | Gauge]) -> None:
        self._registry, self._known = registry, known
        self._adapter = ""

    def labelled(self, adapter: str) -> AdapterMetrics:
        made = AdapterMetrics(self._registry, self._known)
        made._adapter = adapter
        return made

    def count(self, name: str, amount: float = 1) -> None:
        counter = self._find(name, Counter)
        counter.labels(self._adapter).inc(amount)

    def gauge(self, name: str, value: float) -> None:
        gauge = self._find(name, Gauge)
        gauge.labels(self._adapter).set(value)

    def _find(self, name: str, kind: type[M]) -> M:
        found = self._known.get(name)
        if found is None:
            if not _NAME.match(name):
                raise ValueError(f"{name!r} is not a metric name in lower case")
            help = f"counted by the adapter: {name.replace('_', ' ')}"
            found = kind(PREFIX + name, help, ["adapter"], registry=self._registry)
            self._known[name] = found
        if not isinstance(found, kind):
            raise ValueError(f"{name!r} is a {type(found).__name__.lower()} already")
        return found


class RegistryFigures(Collector):
    """What the registries hold, read when somebody asks for it."""

    def __init__(self, read: Callable[[], Iterable[tuple[str, str, dict[str, float]]]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """`read` gives (adapter, state, figures by name)."""
        state = GaugeMetricFamily(
            "pilot_registry_state", "1 for the state a registry is in", labels=["adapter", "state"]
        )
        families: dict[str, GaugeMetricFamily] = {}
        for adapter, now, figures in self._read():
            state.add_metric([adapter, now], 1)
            for name, value in figures.items():
                family = families.setdefault(
                    name,
                    GaugeMetricFamily(
                        f"pilot_registry_{name}", f"{name} of a registry", labels=["adapter"]
                    ),
                )
                family.add_metric([adapter], value)
        yield state
        yield from families.values()


class CoreMetrics:
    """The metrics registry of a daemon, with what the core itself counts."""

    def __init__(self) -> None:
        # When a counter was made is nothing anybody asks for, and doubles the page.
        disable_created_metrics()
        self.registry = CollectorRegistry()
        self.adapters = AdapterMetrics(self.registry, {})
        info = Gauge("pilot_info", "the version that runs", ["version"], registry=self.registry)
        info.labels(__version__).set(1)
        self.services = Gauge(
            "pilot_services", "services known to the mesh", registry=self.registry
        )
        self.endpoints = Gauge(
            "pilot_hostnames_with_endpoints",
            "hostnames that have endpoints",
            registry=self.registry,
        )
        self.problems = Gauge(
            "pilot_problems", "open problems", ["severity"], registry=self.registry
        )
        self.reloads = Counter(
            "pilot_config_reloads", "configuration reloads", ["result"], registry=self.registry
        )
