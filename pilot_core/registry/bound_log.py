"""A registry's own logger: it says whose words they are, and keeps what they say besides."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any


class BoundLog(logging.LoggerAdapter[logging.Logger]):
    """The library's adapter puts its own `extra` in the place of the caller's, before Python
    3.13; here both are in the record. Whose words they are is not the caller's to say."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs
