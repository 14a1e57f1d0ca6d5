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
from pilot_xds.snapshot import find

Layers: TypeAlias = tuple[Layer, ...]
NO_STEP = Step({}, ())


def between(old: Layers, new: Layers) -> Step:
    """The step from `old` to `new`. Shared wherever a single layer differs."""
    steps = [b.since(a) for a, b in zip(old, new, strict=False) if a is not b]
    if len(steps) == 1 and len(old) == len(new):
        return steps[0] or NO_STEP
    both = min(len(old), len(new))
    steps += [Step(dict(layer.resources), ()) for layer in new[both:]]
    steps += [Step({}, tuple(layer.resources)) for layer in old[both:]]
    steps = [step for step in steps if step]
    if not steps:
        return NO_STEP
    return steps[0] if len(steps) == 1 else _united(steps, old)


def _united(steps: list[Step], old: Layers) -> Step:
    """All of them as one. A name that one loses and another gains has moved, and has changed only
    if its resource has."""
    gained = {name: r for step in steps for name, r in step.changed.items()}
    lost = {name for step in steps for name in step.removed}
    moved = {name for name in lost & gained.keys() if find(old, name) == gained[name]}
    changed = {name: r for name, r in gained.items() if name not in moved}
    return Step(changed, tuple(lost - gained.keys()))


def from_versions(have: Mapping[str, str], new: Layers) -> Step:
    """The step for a client that has these versions."""
    changed: dict[str, Resource] = {}
    for layer in new:
        if layer.versions.items() <= have.items():
            continue
        mine = layer.resources.items()
        changed |= {name: r for name, r in mine if have.get(name) != r.version}
    known = sum(len(layer.resources) for layer in new) - sum(n not in have for n in changed)
    if known == len(have):
        return Step(changed, ())
    return Step(changed, tuple(name for name in have if find(new, name) is None))


def names(layers: Layers) -> frozenset[str]:
    """Every name in these layers."""
    return frozenset(name for layer in layers for name in layer.resources)
