"""A configuration file to settings, with everything that is wrong with it found in one run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec

from pilot_core import document
from pilot_core.config.schema import Settings
from pilot_core.document import Decoder, Findings, Node, Scalar, Sequence, variables, words
from pilot_core.errors import ConfigError, Finding, PluginError

MAX_BYTES = 1024 * 1024


class AdapterType(Protocol):
    """What is read of an adapter class here."""

    @property
    def Config(self) -> Any: ...  # noqa: N802  the contract's name


AdapterTypes: TypeAlias = Callable[[str], AdapterType]
"""The adapter class of a kind. Raises PluginError where there is none that can be used."""


def load(
    path: Path | str,
    *,
    adapter_types: AdapterTypes,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings in this file; relative paths in it are relative to its folder.

    `AdapterSettings.config` is an instance of the adapter's `Config`. Raises ConfigError with all
    findings.
    """
    file = Path(path)
    return parse(_read(file), file, adapter_types=adapter_types, environment=environment)


def parse(
    content: bytes | str,
    path: Path,
    *,
    adapter_types: AdapterTypes,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """As `load`, with the content that the file would have."""
    findings = Findings(str(path))
    written = document.document(content, findings)
    if isinstance(written, Scalar) and written.value is None:
        written = document.Mapping({}, 1, 1)
    tree = variables.replace(written, environment, findings)
    decoder = Decoder(findings, folder=path.absolute().parent)
    settings = decoder.decode(tree, Settings)
    sections = _adapters(decoder, tree, adapter_types)
    state_dir = (settings and settings.state_dir) or _state_directory(environment)
    if settings is not None and settings.xds.secure_address and state_dir is None:
        _refuse_without_state(decoder, tree)
    if settings is not None:
        _refuse_unknown_adapters(decoder, tree, settings)
    findings.raise_any()
    assert settings is not None
    adapters = tuple(
        msgspec.structs.replace(adapter, config=config)
        for adapter, config in zip(settings.adapters, sections, strict=True)
    )
    return msgspec.structs.replace(settings, adapters=adapters, state_dir=state_dir)


def _refuse_unknown_adapters(decoder: Decoder, tree: Node, settings: Settings) -> None:
    """An attestor that names an adapter which is none."""
    known = [adapter.name for adapter in settings.adapters]
    for index, attestor in enumerate(settings.identity.attestors):
        if attestor.adapter and attestor.adapter not in known:
            steps = ("identity", "attestors", index, "adapter")
            where = (((((), "identity"), "attestors"), index), "adapter")
            decoder.refuse(_place(tree, *steps), where, words.one_of(attestor.adapter, known))


def _place(tree: Node, *steps: str | int) -> Node:
    """What these steps lead to, or as near to it as there is something."""
    for step in steps:
        inner: Node | None = None
        if isinstance(step, str) and isinstance(tree, document.Mapping):
            inner = tree.get(step)
        elif isinstance(step, int) and isinstance(tree, Sequence):
            inner = tree.items[step]
        if inner is None:
            break
        tree = inner
    return tree


def _refuse_without_state(decoder: Decoder, tree: Node) -> None:
    """An authority whose keys are gone after a restart is nobody's to trust."""
    message = "it needs a state_dir, for the keys of the authority: set state_dir"
    place = _place(tree, "xds", "secure_address")
    decoder.refuse(place, (((), "xds"), "secure_address"), message)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise ConfigError(Finding(str(file), 0, 0, message)) from None
    if len(content) > MAX_BYTES:
        raise ConfigError(Finding(str(file), 0, 0, "larger than 1 MiB: no configuration file"))
    return content


def _state_directory(environment: Mapping[str, str]) -> Path | None:
    """systemd's `StateDirectory=`: several are separated by colons, and the first is the main."""
    first = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(first) if first else None


def _adapters(decoder: Decoder, tree: Node, adapter_types: AdapterTypes) -> list[Any]:
    """The `config` section of each adapter; what is wrong becomes a finding.

    Works on the tree, so that these findings come in the same run as all others.
    """
    listed = tree.get("adapters") if isinstance(tree, document.Mapping) else None
    if not isinstance(listed, Sequence):
        return []
    _refuse_repeated_names(decoder, listed)
    return [_section(decoder, item, n, adapter_types) for n, item in enumerate(listed.items)]


def _section(decoder: Decoder, item: Node, index: int, adapter_types: AdapterTypes) -> Any:
    kind = item.get("kind") if isinstance(item, document.Mapping) else None
    if not isinstance(item, document.Mapping) or not isinstance(kind, Scalar):
        return None
    where = ((), "adapters"), index
    if not isinstance(kind.value, str):
        return None
    try:
        adapter_type = adapter_types(str(kind.value))
    except PluginError as error:
        return decoder.refuse(kind, (where, "kind"), str(error))
    section = item.get("config")
    if section is None or (isinstance(section, Scalar) and section.value is None):
        section = document.Mapping({}, item.line, item.column)
    return decoder.decode(section, adapter_type.Config, (where, "config"))


def _refuse_repeated_names(decoder: Decoder, listed: Sequence) -> None:
    first: dict[str, int] = {}
    for index, item in enumerate(listed.items):
        name = item.get("name") if isinstance(item, document.Mapping) else None
        if not isinstance(name, Scalar) or not isinstance(name.value, str):
            continue
        if name.value in first:
            message = f'the name "{name.value}" is taken, at line {first[name.value]}'
            decoder.refuse(name, ((((), "adapters"), index), "name"), message)
        first.setdefault(name.value, name.line)
