"""A first configuration: every setting with its documentation, its default in a comment.

What has to be filled in stands there with an example; the result passes `pilot-core check` where
the examples of the adapters are sound.
"""

from __future__ import annotations

import enum
import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pilot_core.config import describe
from pilot_core.config.describe import Setting
from pilot_core.config.load import AdapterTypes
from pilot_core.config.schema import AdapterSettings, Settings
from pilot_core.document.tree import plain

_WIDTH = 88
_PLAIN = re.compile(r"[A-Za-z0-9_./~][A-Za-z0-9_./:~-]*")
_HEAD = """\
# A configuration of pilot-core. What stands in comments are the defaults.
# `pilot-core check -c FILE` says everything that is wrong with it.
"""


def sample(kinds: Iterable[str], *, adapter_types: AdapterTypes) -> str:
    """A commented configuration with an adapter of each of these kinds. Raises PluginError."""
    lines: list[str] = []
    for setting in describe.settings(Settings):
        lines += ["", *_comment(setting.documentation, "")]
        if setting.key == "apiVersion":
            lines.append("apiVersion: pilot-core/v1")
        elif setting.key == "adapters":
            lines += _adapters(kinds, adapter_types)
        elif setting.section is not None:
            lines += [f"{setting.key}:", *_fields(setting.section, "  ")]
        else:
            lines.append(_line(setting, ""))
    return _HEAD + "\n".join(lines) + "\n"


def _adapters(kinds: Iterable[str], adapter_types: AdapterTypes) -> list[str]:
    lines: list[str] = []
    seen: Counter[str] = Counter()
    for kind in kinds:
        seen[kind] += 1
        name = kind if seen[kind] == 1 else f"{kind}-{seen[kind]}"
        lines += [f"- name: {name}", f"  kind: {kind}"]
        lines += _fields(AdapterSettings, "  ", leave_out=("name", "kind", "config"))
        lines += ["  config:", *_fields(adapter_types(kind).Config, "    ")]
    return ["adapters:", *lines] if lines else ["adapters: []"]


def _fields(
    struct: type[msgspec.Struct], indent: str, *, leave_out: tuple[str, ...] = ()
) -> Iterator[str]:
    for setting in describe.settings(struct):
        if setting.key in leave_out:
            continue
        yield from _comment(setting.documentation, indent)
        if setting.section is not None:
            lines = [f"{indent}{setting.key}:", *_fields(setting.section, indent + "  ")]
            # A section that may be left out is written where its author gives an example of it.
            is_shown = not setting.may_be_left_out or setting.example is not None
            yield from lines if is_shown else (f"{indent}# {line[len(indent) :]}" for line in lines)
        else:
            yield _line(setting, indent)


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        _WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _line(setting: Setting, indent: str) -> str:
    # An empty list of which there is an example is one of several ways to say what is needed.
    if setting.is_required or (setting.default == () and setting.example is not None):
        return f"{indent}{setting.key}: {written(_example(setting))}"
    value = setting.example if setting.default is None else setting.default
    return f"{indent}# {setting.key}: {written(value)}".rstrip()


def _example(setting: Setting) -> Any:
    return "CHANGE-ME" if setting.example is None else setting.example


def written(value: Any) -> str:
    """The value as YAML on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list | set | frozenset):
        return "[" + ", ".join(written(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, enum.Enum):
        return written(value.value)
    if type(value) in (int, float):
        return f"{value:g}"
    return _text(str(value) if not isinstance(value, Path) else value.as_posix())


def _text(text: str) -> str:
    is_plain = _PLAIN.fullmatch(text) and isinstance(plain(text), str) and not text.endswith(":")
    return text if is_plain else json.dumps(text, ensure_ascii=False)
