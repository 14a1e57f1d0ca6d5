"""What the Cloud Controller knows of applications, beside what runs them: frozen values.

Rule: what Diego says of an instance is never overridden; users' labels stand under a prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

Labels = tuple[tuple[str, str], ...]
_VERSION = "version"


class NetworkPolicy(msgspec.Struct, frozen=True, gc=False, order=True):
    """Instances of one application may open connections to those of another."""

    source: str
    destination: str
    protocol: str = "tcp"
    first: int = 0
    last: int = 0


class Names(msgspec.Struct, frozen=True):
    """A whole answer; empty where nobody has been asked."""

    apps: Mapping[str, Labels] = {}
    """Users' labels by application, those of its space and organization among them."""
    processes: Mapping[str, Labels] = {}
    """Users' labels by process, and the application's revision that it runs."""
    tcp_domains: Mapping[str, str] = {}
    """The domain of each router group."""
    weights: Mapping[tuple[str, str, str], int] = {}
    """The share of requests, by URI, application and process type, where somebody has said one."""
    policies: tuple[NetworkPolicy, ...] | None = None
    """Who may connect to whom; None where nobody has told us."""

    def labels(self, own: Labels, prefix: str) -> Labels:
        """The endpoint's labels with its users' under the prefix; `version` is taken from them."""
        known = dict(own)
        said = {
            **dict(self.apps.get(known.get("cf.app.id", ""), ())),
            **dict(self.processes.get(known.get("cf.process.id", ""), ())),
        }
        if not said:
            return own
        made = {_label(name, prefix): value for name, value in said.items()}
        if said.get(_VERSION):
            known[_VERSION] = said[_VERSION]
        return tuple(sorted({**made, **known}.items()))

    def weight(self, uri: str, own: Labels) -> int | None:
        known = dict(own)
        key = (uri, known.get("cf.app.id", ""), known.get("cf.process.type", "web"))
        return self.weights.get(key)


def merged(*layers: Iterable[tuple[str, str]]) -> Labels:
    """Later layers are nearer to the process, and hold."""
    return tuple(sorted({k: v for layer in layers for k, v in layer}.items()))


def _label(name: str, prefix: str) -> str:
    return name if name.startswith("cf.") else f"{prefix}{name}"
