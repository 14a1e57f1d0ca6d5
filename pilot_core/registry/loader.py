"""Finding adapter plugins by their entry point: strictly, each failure with its cure.

stevedore loads; what it lets pass in silence (a missing plugin, a broken one, two of one name) is
an error here that names the distribution. Its memory of what is installed is passed over: a reload
has to find what has been installed since the start.
"""

from __future__ import annotations

import difflib
import enum
import importlib.metadata
import inspect
from typing import cast

import msgspec
from stevedore import NamedExtensionManager

from pilot_core.adapter import API, ENTRY_POINTS, INJECTORS, Adapter, Config, Injector
from pilot_core.errors import PluginError


class PluginState(enum.StrEnum):
    READY = "ready"
    BROKEN = "broken"
    INCOMPATIBLE = "incompatible"


class Plugin(msgspec.Struct, frozen=True, gc=False):
    """One line of `pilot-core adapters`."""

    name: str
    distribution: str
    version: str
    contract: int | None
    state: PluginState
    error: str | None


class _Incompatible(PluginError):
    """The plugin is sound, and of another contract."""


def load(kind: str) -> type[Adapter]:
    """The adapter class behind a kind. Raises PluginError."""
    found = _entry_points().get(kind, [])
    if not found:
        raise PluginError(_missing(kind))
    if len(found) > 1:
        names = " and ".join(sorted(_distribution(entry) for entry in found))
        raise PluginError(f'adapter "{kind}" is claimed by {names}: uninstall one of them')
    return _checked(kind, found[0])


def installed() -> tuple[Plugin, ...]:
    """Every adapter plugin there is, whatever its state, sorted by name."""
    return tuple(
        _describe(kind, entry)
        for kind, entries in sorted(_entry_points().items())
        for entry in sorted(entries, key=_distribution)
    )


def injector(kind: str) -> Injector:
    """What puts proxies into documents of this kind. Raises PluginError."""
    entries = {entry.name: entry for entry in importlib.metadata.entry_points(group=INJECTORS)}
    if kind not in entries:
        names = ", ".join(sorted(entries)) or "none"
        near = difflib.get_close_matches(kind, entries, 1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        raise PluginError(f'nothing injects into "{kind}" (installed: {names}){hint}')
    try:
        found = cast(Injector, entries[kind].load())
    except Exception as error:
        where = _distribution(entries[kind])
        raise PluginError(f'injector "{kind}" of {where} cannot be loaded: {error}') from error
    return found


def _describe(kind: str, entry: importlib.metadata.EntryPoint) -> Plugin:
    contract, state, error = None, PluginState.READY, None
    try:
        contract = load(kind).api
    except _Incompatible as problem:
        state, error = PluginState.INCOMPATIBLE, str(problem)
    except PluginError as problem:
        state, error = PluginState.BROKEN, str(problem)
    version = entry.dist.version if entry.dist else ""
    return Plugin(kind, _distribution(entry), version, contract, state, error)


class _Named(NamedExtensionManager[Adapter]):
    """Loads the one entry point that it is given."""

    def __init__(self, entry: importlib.metadata.EntryPoint) -> None:
        self._entry = entry
        self.failures: list[BaseException] = []
        super().__init__(
            ENTRY_POINTS,
            [entry.name],
            on_load_failure_callback=lambda _manager, _entry, error: self.failures.append(error),
            on_missing_entrypoints_callback=None,
        )

    def list_entry_points(self) -> list[importlib.metadata.EntryPoint]:
        return [self._entry]


def _entry_points() -> dict[str, list[importlib.metadata.EntryPoint]]:
    # Asked of importlib.metadata, because stevedore forgets which distribution a plugin is from.
    # An editable install may be listed twice, which is no conflict.
    found: dict[str, dict[tuple[str, str], importlib.metadata.EntryPoint]] = {}
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        found.setdefault(entry.name, {})[_distribution(entry), entry.value] = entry
    return {name: list(entries.values()) for name, entries in found.items()}


def _distribution(entry: importlib.metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value


def _missing(kind: str) -> str:
    names = sorted(_entry_points())
    near = difflib.get_close_matches(kind, names, 1)
    hint = f'did you mean "{near[0]}"?' if near else f"try: pip install pilot-adapter-{kind}"
    return f'no adapter "{kind}" (installed: {", ".join(names) or "none"}); {hint}'


def _checked(kind: str, entry: importlib.metadata.EntryPoint) -> type[Adapter]:
    where = _distribution(entry)
    plugin = _import(entry, where)
    if not inspect.isclass(plugin) or not issubclass(plugin, Adapter):
        raise PluginError(f'adapter "{kind}" of {where} is {entry.value}, which is no Adapter')
    if not isinstance(plugin.api, int):
        raise PluginError(f'adapter "{kind}" of {where}: its api is {plugin.api!r}, not a number')
    if plugin.api != API:
        cure = "upgrade pilot-core" if plugin.api > API else f"upgrade {where}"
        raise _Incompatible(
            f'adapter "{kind}" of {where} speaks contract {plugin.api}, '
            f"this pilot-core speaks {API}: {cure}"
        )
    if not inspect.isclass(plugin.Config) or not issubclass(plugin.Config, Config):
        raise PluginError(
            f'adapter "{kind}" of {where}: its Config is no pilot_core.adapter.Config'
        )
    if inspect.isabstract(plugin):
        raise PluginError(f'adapter "{kind}" of {where} does not say how to run')
    return plugin


def _import(entry: importlib.metadata.EntryPoint, where: str) -> object:
    """Whatever the entry point names. A plugin that asserts something, or exits, while it is
    imported must not end the program that looks for it: stevedore lets both through."""
    reason: BaseException
    try:
        manager = _Named(entry)
    except (AssertionError, SystemExit) as error:
        reason = error
    else:
        if not manager.failures:
            return manager[entry.name].plugin
        reason = manager.failures[0]
    raise PluginError(
        f'adapter "{entry.name}" of {where} cannot be loaded: {type(reason).__name__}: {reason}; '
        f"try: pip install --force-reinstall {where}"
    ) from reason
