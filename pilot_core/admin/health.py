"""Whether the daemon lives, and whether proxies should come to it."""

from __future__ import annotations

from collections.abc import Iterator

from pilot_certs.authority import Authority
from pilot_certs.durable import StateError
from pilot_certs.refusal import NotReady
from pilot_core.registry.hub import Hub
from pilot_core.registry.state import State


def page(hub: Hub, *, is_ready: bool, is_verbose: bool, authority: Authority | None = None) -> str:
    """The text of /readyz; verbose names every registry, and whether the authority signs."""
    text = "ready\n" if is_ready else "not ready\n"
    if is_verbose:
        text += "".join(f"{line}\n" for line in _lines(hub))
        text += _signing(authority) if authority else ""
    return text


def _signing(authority: Authority) -> str:
    """By a signature that is made now, and verified against the bundle. What is served does not
    depend on it: an authority that is not well makes nobody unready."""
    try:
        authority.check()
    except (NotReady, StateError) as error:
        return f"[-] authority: {error} (not required)\n"
    return "[+] authority: signs\n"


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
