"""What is wrong in a catalogue document, told to the sink."""

from __future__ import annotations

from collections.abc import Sequence

from pilot_core.adapter import Finding, Sink

AT_MOST = 200
"""Findings of one source that are told one by one."""


def complain(sink: Sink, source: str, findings: Sequence[Finding]) -> None:
    """Warn of each finding under this source, with its place."""
    for finding in findings[:AT_MOST]:
        where = f"{finding.path}:{finding.line}:{finding.column}" if finding.line else finding.path
        sink.warn(finding.message, source=source, origin=where)
    more = len(findings) - AT_MOST
    if more > 0:
        sink.warn(f"{more} more entries are refused", source=source, origin=findings[0].path)
