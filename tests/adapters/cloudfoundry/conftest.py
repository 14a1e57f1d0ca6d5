"""Every test of this adapter runs at debug level, and none may log what is secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from bbs_lrps import ENVIRONMENT, KEY
from fake_cloud_controller import SECRET


@pytest.fixture(autouse=True)
def nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    records = [r for when in ("setup", "call") for r in caplog.get_records(when)]
    said = "\n".join(f"{record.getMessage()} {vars(record)}" for record in records)
    assert [] == [secret for secret in (KEY, ENVIRONMENT, SECRET) if secret in said]
