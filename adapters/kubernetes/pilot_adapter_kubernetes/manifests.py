"""Manifests written as YAML that Kubernetes reads as it was meant.

Kubernetes' reader (sigs.k8s.io/yaml) takes more plain words for numbers and booleans than PyYAML
does, such as 12e3 and y: every string that could be one is quoted.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_AMBIGUOUS = re.compile(r"[-+.]?\d[\w.+:-]*|[yYnN]")


class _Dumper(yaml.SafeDumper):
    """No anchors, which people do not want to read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, said: str) -> yaml.ScalarNode:
    style = "|" if "\n" in said else "'" if _AMBIGUOUS.fullmatch(said) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", said, style=style)


_Dumper.add_representer(str, _string)


def written(said: Any) -> str:
    """One document, keys in the order that they have."""
    made: str = yaml.dump(said, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return made
