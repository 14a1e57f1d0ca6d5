"""Whether the daemon lives, and whether proxies should come to it."""

from __future__ import annotations

from collections.abc import Iterator

from pilot_core.registry.hub import Hub
from pilot_core.registry.state import State


def page(hub: Hub, *, is_ready: bool, is_verbose: bool) -> str:
    """The text of /readyz; verbose names every registry."""
    text = "ready\n" if is_ready else "not ready\n"
    if is_verbose:
        text += "".join(f"{line}\n" for line in _lines(hub))
    return text


def _lines(hub: Hub) -> Iterator[str]:
    lacking = hub.readiness()
    for registry in hub.registries():
        sign = "-" if lacking.get(registry.name) else "+"
        words = [f"[{sign}] {registry.name}: {registry.state}"]
        if registry.state is not State.SYNCED and registry.error:
            words.append(f": {registry.error}")
        if not registry.required:
            words.append(" (not required)")
        yield "".join(words)
