"""`${VAR}` and `${VAR:-default}` in the strings of a document; `$${` stands for `${` itself.

As in a shell, the default also serves where the variable is set but empty. Keys are left alone,
and so is what a variable holds: it is not looked at for further variables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Variables

from pilot_core.document.findings import Findings
from pilot_core.document.tree import Entry, Mapping, Node, Replaced, Scalar, Sequence

_REFERENCE = re.compile(r"\$(\$\{)|\$\{([^{}]*)\}")
_INSIDE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


def replace(node: Node, variables: Variables[str, str], findings: Findings) -> Node:
    """The same tree with the variables' values in it."""
    if isinstance(node, Scalar):
        return _scalar(node, variables, findings)
    if isinstance(node, Sequence):
        items = [replace(item, variables, findings) for item in node.items]
        return Sequence(items, node.line, node.column)
    entries = {
        key: Entry(replace(entry.value, variables, findings), entry.line, entry.column)
        for key, entry in node.entries.items()
    }
    return Mapping(entries, node.line, node.column)


def _scalar(node: Scalar, variables: Variables[str, str], findings: Findings) -> Scalar:
    if not isinstance(node.value, str) or "${" not in node.value:
        return node

    def value(reference: re.Match[str]) -> str:
        if reference[1]:
            return reference[1]
        inside = _INSIDE.fullmatch(reference[2])
        if inside is None:
            findings.add(node, f"{reference[0]} is no variable; write ${{NAME}} or $${{ for itself")
            return reference[0]
        name, default = inside.groups()
        if default is None and name not in variables:
            message = f"the environment variable {name} is not set; ${{{name}:-…}} gives a default"
            findings.add(node, message)
            return reference[0]
        return variables.get(name, "") or default or ""

    return Scalar(Replaced(_REFERENCE.sub(value, node.value)), node.line, node.column)
