"""What an adapter logs: its own words, under its registry's name."""

from __future__ import annotations

import logging

from pilot_core.registry.bound_log import BoundLog


def test_what_an_adapter_says_besides_is_kept_beside_whose_words_they_are(caplog):
    log = BoundLog(logging.getLogger("test.bound"), {"registry": "r1", "kind": "file"})
    with caplog.at_level(logging.DEBUG):
        log.debug("message makes no sense", extra={"subject": "a.b", "registry": "another"})
        log.info("nothing besides")
    said = [(r.getMessage(), r.registry, r.kind, vars(r).get("subject")) for r in caplog.records]
    assert [
        ("message makes no sense", "r1", "file", "a.b"),
        ("nothing besides", "r1", "file", None),
    ] == said
