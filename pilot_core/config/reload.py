"""What differs between the settings that run and those that were read again."""

from __future__ import annotations

import msgspec

from pilot_core.config.schema import Settings

_FIXED = {
    "mesh": ("trust_domain",),
    "xds": ("address", "insecure", "secure_address"),
    "admin": ("address", "token_file"),
    "identity": (
        "authority_dir",
        "authority_lifetime",
        "leaf_lifetime",
        "leaf_lifetime_max",
        "settle",
        "attestors",
        "dns_names",
    ),
    "startup": ("sync_timeout",),
    "batch": ("quiet", "max"),
}
"""What a running daemon cannot change: ports are open, timers are set."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Names of adapters, and keys of settings."""

    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    """Their settings differ: a new session, and what they said stays until it has synced."""
    keep: tuple[str, ...] = ()
    reorder: bool = False
    """The order of those in both differs, and so does their precedence."""
    needs_restart: tuple[str, ...] = ()
    """Keys such as `xds.address` that differ and wait for the next start."""

    @property
    def is_empty(self) -> bool:
        return not (self.start or self.stop or self.restart or self.reorder or self.needs_restart)


def compare(old: Settings, new: Settings) -> Changes:
    """What has to be done so that `new` holds where `old` did."""
    before = {adapter.name: adapter for adapter in old.adapters}
    after = {adapter.name: adapter for adapter in new.adapters}
    both = [name for name in before if name in after]
    return Changes(
        start=tuple(name for name in after if name not in before),
        stop=tuple(name for name in before if name not in after),
        restart=tuple(name for name in both if before[name] != after[name]),
        keep=tuple(name for name in both if before[name] == after[name]),
        reorder=both != [name for name in after if name in before],
        needs_restart=tuple(_fixed(old, new)),
    )


def _fixed(old: Settings, new: Settings) -> list[str]:
    changed = [
        f"{section}.{key}"
        for section, keys in _FIXED.items()
        for key in keys
        if getattr(getattr(old, section), key) != getattr(getattr(new, section), key)
    ]
    return [*changed, "state_dir"] if old.state_dir != new.state_dir else changed
