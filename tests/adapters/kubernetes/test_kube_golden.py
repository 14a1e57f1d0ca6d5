"""Golden conversions: a cluster's objects go in, the text form of the world comes out.

Every folder of `golden` is a case: `objects.yaml`, as users and controllers write them, and
`world.yaml`. `make golden` writes the latter anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from joined import Joined

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(folder.name for folder in GOLDEN.iterdir())


def converted(objects: list[dict[str, object]]) -> str:
    joined = Joined()
    joined.put(*objects)
    found = {key: value for key, value in joined.plain().items() if value}
    return yaml.safe_dump(found, sort_keys=False, width=100)


@pytest.mark.parametrize("case", CASES)
def test_a_cluster_becomes_what_the_golden_files_say(case: str, request: pytest.FixtureRequest):
    objects = list(yaml.safe_load_all((GOLDEN / case / "objects.yaml").read_text()))
    found = converted(objects)
    if request.config.getoption("--update-golden"):
        (GOLDEN / case / "world.yaml").write_text(found)
    assert (GOLDEN / case / "world.yaml").read_text() == found
    # Kinds are watched one beside the other: in which order their objects come is chance.
    assert found == converted(objects[::-1])
