"""What has changed goes into the sink, name by name.

Rule 1: nothing is put before every part of the platform has been read, or has failed to be: what
earlier sessions put is served meanwhile. Only when all have been read, the session is in sync.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

from pilot_adapter_cloudfoundry.convert import Context
from pilot_adapter_cloudfoundry.diego import Diego
from pilot_adapter_cloudfoundry.kinds import Kind
from pilot_core.adapter import Host, Sink

_GATHER = 0.05
"""Seconds in which changes are gathered: what belongs together comes in a row."""
_AT_ONCE = 100
"""Names that are put before others get their turn on the event loop: some milliseconds."""


class Publisher:
    """One session's. `parts` are what has to be read first, by name."""

    def __init__(
        self,
        kinds: tuple[Kind, ...],
        context: Context,
        sink: Sink,
        host: Host,
        *,
        parts: set[str],
        diego: Diego | None,
    ) -> None:
        self.sink = sink
        self._kinds, self._context, self._host = kinds, context, host
        self._diego, self._told = diego, dict[str, str]()
        self._kept: set[str] = set()
        self._unread, self._waived = set(parts), set[str]()
        self._is_open = self._is_retold = False
        self._put: set[str] = set()
        self._has_changed = asyncio.Event()

    def has_read(self, part: str) -> None:
        """This part of the platform has been read as a whole."""
        self._unread.discard(part)
        self.nudge()

    def waive(self, part: str) -> None:
        """Do not wait for this part before the first put: it is known from before, or cannot be
        read for now."""
        self._waived.add(part)
        self.nudge()

    def retell(self, context: Context) -> None:
        """What besides the routes decides about them has changed: all names are put anew."""
        self._context, self._is_retold = context, True
        self.nudge()

    def nudge(self) -> None:
        """Something may have changed."""
        self._has_changed.set()

    async def run(self) -> NoReturn:
        """Put what changes, once there is a view to change."""
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            if self._unread - self._waived:
                continue
            await self._publish()
            if not self._unread:
                self._keep_or_let_go()
                self.sink.synced()
            await self._host.clock.sleep(_GATHER)

    def _keep_or_let_go(self) -> None:
        """What nobody of this program's life has told of may be there all the same, while the
        platform itself does not know all that there is."""
        for kind in self._kinds:
            prefix, words = f"{kind.name}/", self._incomplete()
            if words and prefix not in self._kept and self.sink.known(prefix) - self._put:
                self._kept.add(prefix)
                self.sink.keep(prefix, words)
            elif not words and prefix in self._kept:
                self._kept.discard(prefix)
                self.sink.synced(prefix)

    async def _publish(self) -> None:
        is_anew = self._is_retold or not self._is_open
        self._is_open, self._is_retold = True, False
        for kind in self._kinds:
            names = kind.take_changed() | (kind.names() if is_anew else set())
            for count, name in enumerate(sorted(names), 1):
                self._put_name(kind, name)
                if count % _AT_ONCE == 0:
                    await asyncio.sleep(0)
        self._complain()

    def _complain(self) -> None:
        """Of processes that cannot be read, which have no name to be found under."""
        troubles = self._diego.troubles if self._diego is not None else {}
        for process in self._told.keys() - troubles.keys():
            self.sink.drop(f"process/{process}")
        for process, trouble in troubles.items():
            if self._told.get(process) != trouble:
                self.sink.warn(trouble, source=f"process/{process}", origin=process)
        self._told = dict(troubles)

    def _incomplete(self) -> str:
        if self._diego is None or not self._diego.unfresh:
            return ""
        domains = ", ".join(sorted(self._diego.unfresh))
        return f"Diego is not told of all that is desired: {domains} is not fresh"

    def _put_name(self, kind: Kind, name: str) -> None:
        source = f"{kind.name}/{name}"
        made = kind.made(name, self._context)
        if made.records:
            self._put.add(source)
            self.sink.put(source, made.records)
        elif source in self._put or not made.problems:
            # A name that has only been spoken of wrongly so far keeps what it had.
            self._put.discard(source)
            self.sink.drop(source)
        for problem in made.problems:
            self.sink.warn(problem, source=source, origin=name)
