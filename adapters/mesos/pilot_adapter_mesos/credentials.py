"""What a file of credentials makes of the `Authorization` header."""

from __future__ import annotations

import base64
from pathlib import Path

from pilot_core.adapter import Unavailable


def authorization(file: Path | None, setting: str) -> dict[str, str]:
    """`principal:secret` becomes basic authentication; a value with a space is taken as it is.
    Raises Unavailable."""
    if file is None:
        return {}
    try:
        said = file.read_text().strip()
    except OSError as error:
        raise Unavailable(f"{setting} {file}: {error.strerror}") from None
    if " " in said or said.startswith("token="):
        return {"Authorization": said}
    return {"Authorization": f"Basic {base64.b64encode(said.encode()).decode()}"}
