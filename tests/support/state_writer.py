"""A process that writes the state file as fast as it can, to be killed: `FILE FIRST`.

Round n puts the same number under all sources, so that whoever reads sees whether it is one state.
It prints every round that has been written.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pilot_core.model import Service
from pilot_core.registry import state_file

SOURCES = 25


def state(round_: int) -> dict[tuple[str, str], tuple[Service, ...]]:
    record = Service(hostname="a.mesh", labels=(("round", str(round_)), ("more", "x" * 2_000)))
    return {("dc1", str(n)): (record,) for n in range(SOURCES)}


def main() -> None:
    path, round_ = Path(sys.argv[1]), int(sys.argv[2])
    while True:
        write = state_file.update if path.exists() and round_ % 7 else state_file.replace
        write(path, state(round_))
        print(round_, flush=True)
        round_ += 1


if __name__ == "__main__":
    main()
