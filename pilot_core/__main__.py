"""`pilot-core`, and `python -m pilot_core`."""

from __future__ import annotations

from pilot_core.cli import main

if __name__ == "__main__":
    main()
