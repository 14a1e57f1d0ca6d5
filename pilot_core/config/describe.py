"""What there is to set: every field of a settings struct, with its documentation.

Documentation is the string under a field, which Python does not keep: it is read from the source.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
import types
import typing
from typing import Annotated, Any

import msgspec


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One field. `default` is `msgspec.NODEFAULT` where a value has to be given."""

    key: str
    type: Any
    default: Any
    documentation: str

    @property
    def is_required(self) -> bool:
        return self.default is msgspec.NODEFAULT

    @property
    def section(self) -> type[msgspec.Struct] | None:
        """The struct that it holds, where it is a section of its own, be it one that may be left
        out."""
        for kind in self._kinds:
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                return kind
        return None

    @property
    def may_be_left_out(self) -> bool:
        """Whether a section need not be there, which says something else than its defaults."""
        return type(None) in self._kinds

    @property
    def _kinds(self) -> tuple[Any, ...]:
        """The members of a union; the type itself, where it is none."""
        is_noted = typing.get_origin(self.type) is Annotated
        plain = typing.get_args(self.type)[0] if is_noted else self.type
        is_union = typing.get_origin(plain) in (typing.Union, types.UnionType)
        return typing.get_args(plain) if is_union else (plain,)

    @property
    def example(self) -> Any:
        """The first value in its `msgspec.Meta(examples=…)`, or None."""
        if typing.get_origin(self.type) is not Annotated:
            return None
        metas = [note for note in typing.get_args(self.type)[1:] if isinstance(note, msgspec.Meta)]
        return next((meta.examples[0] for meta in metas if meta.examples), None)


def settings(struct: type[msgspec.Struct]) -> tuple[Setting, ...]:
    """The struct's fields, in the order of the source."""
    documented = {key: text for cls in reversed(struct.__mro__) for key, text in _texts(cls)}
    return tuple(
        Setting(
            key=field.encode_name,
            type=field.type,
            default=_default(field),
            documentation=documented.get(field.name, ""),
        )
        for field in msgspec.structs.fields(struct)
    )


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _texts(cls: type) -> list[tuple[str, str]]:
    """(field, string under it) pairs of one class body."""
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):
        return []
    [definition] = ast.parse(source).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    return [
        (field.target.id, inspect.cleandoc(text.value.value))
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    ]
