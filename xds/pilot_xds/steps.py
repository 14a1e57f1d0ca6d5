"""What differs between what a client has been sent and what it is to have: over all its layers.

In the usual case one shared layer has made one step, and its bytes, encoded once, serve every
stream. The unusual ones (several layers at once, a name that moved from one to another, a client
that wants only some of the names) are worked out for the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from pilot_xds.layer import Layer, Step
from pilot_xds.resource import Resource

Layers: TypeAlias = tuple[Layer, ...]
NO_STEP = Step({}, ())


def between(old: Layers, new: Layers) -> Step:
    """The step from `old` to `new`. Shared wherever a single layer differs."""
    if len(old) != len(new):
        return _whole(old, new)
    steps = [b.since(a) for a, b in zip(old, new, strict=True) if a is not b]
    steps = [step for step in steps if step]
    if not steps:
        return NO_STEP
    return steps[0] if len(steps) == 1 else _united(steps)


def _united(steps: list[Step]) -> Step:
    changed = {name: r for step in steps for name, r in step.changed.items()}
    removed = tuple(n for step in steps for n in step.removed if n not in changed)
    return Step(changed, removed)


def _whole(old: Layers, new: Layers) -> Step:
    return from_versions({n: r.version for n, r in everything(old).items()}, new)


def from_versions(have: Mapping[str, str], new: Layers) -> Step:
    """The step for a client that has these versions."""
    wanted = everything(new)
    changed = {name: r for name, r in wanted.items() if have.get(name) != r.version}
    return Step(changed, tuple(name for name in have if name not in wanted))


def everything(layers: Layers) -> dict[str, Resource]:
    return {name: layer.resources[name] for layer in layers for name in layer.resources}
