"""Metrics of the core and of adapters, for Prometheus; what they are called stands in `names`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from pilot_core import __version__
from pilot_core.telemetry import names
from pilot_core.telemetry.names import Name

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TOTAL = re.compile(
    rb"^((?:# (?:HELP|TYPE) )?(?:pilot|citadel)_[a-z0-9_]+?)_total(?=[ {])", re.MULTILINE
)
M = TypeVar("M", Counter, Gauge)

Figures: TypeAlias = Mapping[Name, Sequence[tuple[tuple[str, ...], float]]]
"""For each metric, its values by labels."""


class CoreMetrics:
    """The metrics registry of a daemon, with what the core itself counts."""

    def __init__(self) -> None:
        # When a counter was made is nothing anybody asks for, and doubles the page.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # so is the library's
        self.registry = CollectorRegistry()
        self.adapters = AdapterMetrics(self.registry, {})
        gauge(names.INFO, self.registry).labels(__version__).set(1)
        self.reloads = counter(names.RELOADS, self.registry)


class AdapterMetrics:
    """What one adapter counts: `pilot_core.adapter.Metrics`, labelled with the adapter's name."""

    def __init__(
        self,
        registry: CollectorRegistry,
        known: dict[str, Counter | Gauge],
        *,
        adapter: str = "",
    ) -> None:
        self._registry, self._known, self._adapter = registry, known, adapter

    def labelled(self, adapter: str) -> AdapterMetrics:
        """The same metrics for the adapter of that name."""
        return AdapterMetrics(self._registry, self._known, adapter=adapter)

    def count(self, name: str, amount: float = 1) -> None:
        self._find(name, Counter).labels(self._adapter).inc(amount)

    def gauge(self, name: str, value: float) -> None:
        self._find(name, Gauge).labels(self._adapter).set(value)

    def _find(self, name: str, kind: type[M]) -> M:
        found = self._known.get(name)
        if found is None:
            if not _NAME.match(name):
                raise ValueError(f"{name!r} is not a metric name in lower case")
            help = f"counted by the adapter: {name.replace('_', ' ')}"
            full = names.ADAPTER_PREFIX + name
            found = self._known[name] = kind(full, help, ["adapter"], registry=self._registry)
        if not isinstance(found, kind):
            raise ValueError(f"{name!r} is a {type(found).__name__.lower()} already")
        return found


class Tally(Collector):
    """A counter of one label for what happens thousands of times a second: a number for each value
    of it, to be counted up by hand, and read when somebody asks."""

    def __init__(self, name: Name, values: Iterable[str], registry: CollectorRegistry) -> None:
        self._name = name
        self.counts = dict.fromkeys(values, 0)
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name.name, self._name.help, labels=self._name.labels)
        for value, count in self.counts.items():
            family.add_metric((value,), count)
        yield family


class ReadFigures(Collector):
    """Figures that are read when somebody asks for them, rather than kept.

    `take` reads them and is called on the event loop, whose data they are; the page is written in
    a thread, from what was taken last.
    """

    def __init__(self, read: Callable[[], Figures]) -> None:
        self._read = read
        self._taken: Figures = {}

    def take(self) -> None:
        self._taken = self._read()

    def collect(self) -> Iterator[Metric]:
        for name, values in self._taken.items():
            # A counter's samples would have to be called `_total`.
            family = Metric(name.name, name.help, name.kind)
            suffix = "_total" if name.kind == "counter" else ""
            for labels, value in values:
                family.add_sample(
                    name.name + suffix, dict(zip(name.labels, labels, strict=True)), value
                )
            yield family

    def describe(self) -> Iterator[Metric]:
        """Nothing: what there will be is not known yet."""
        return iter(())


def gauge(name: Name, registry: CollectorRegistry) -> Gauge:
    return Gauge(name.name, name.help, name.labels, registry=registry)


def counter(name: Name, registry: CollectorRegistry) -> Counter:
    return Counter(name.name, name.help, name.labels, registry=registry)


def histogram(name: Name, registry: CollectorRegistry) -> Histogram:
    return Histogram(name.name, name.help, name.labels, buckets=_SECONDS, registry=registry)


def exposition(registry: CollectorRegistry) -> bytes:
    """All metrics in Prometheus's text format, under the names that are declared."""
    # prometheus_client appends `_total` to every counter; dashboards know them without it.
    return _TOTAL.sub(rb"\1", generate_latest(registry))
