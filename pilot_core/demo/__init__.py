"""`pilot-core demo`: a whole mesh on this machine, shown at work, and gone again afterwards.

A small book shop of four services stands in three registries (files, HTTP, a plugin); every
service has a real Envoy beside it. Nothing is simulated, and nothing is left behind.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import msgspec

from pilot_core.demo.process import ProcessFailed
from pilot_core.demo.report import NotSeen, Report, Teller
from pilot_core.demo.stage import Stage, StageError
from pilot_core.demo.tour import Tour

_EXPECTED = (NotSeen, ProcessFailed, StageError)


def main(*, once: bool = False, as_json: bool = False) -> int:
    """Run the tour; stay up for people to look around unless `once`. Returns the exit code."""
    teller = Teller(quiet=as_json)
    teller.say("A book shop of four services, from three registries. This takes half a minute.\n")
    asyncio.run(_run(teller, stay=not once and not as_json))
    report = teller.finish()
    if as_json:
        print(msgspec.json.encode(report).decode(), flush=True)
    else:
        teller.say(_verdict(report, is_complete=teller.is_complete))
    return 0 if report.ok else 1


async def _run(teller: Teller, *, stay: bool) -> None:
    interrupt = _Interrupt()
    try:
        # Left from the inside out: no signal any more once the stage is cleared.
        async with Stage() as stage, interrupt:
            tour = Tour(stage, teller)
            await tour.set_up()
            await tour.show()
            teller.is_complete = True
            if stay:
                await _stay(stage, tour, teller)
    except asyncio.CancelledError:
        teller.say("\nStopped; nothing is left behind.")
    except _EXPECTED as error:
        print(f"\ndemo: {error}", file=sys.stderr)


class _Interrupt:
    """Signals end the tour, once: who is impatient must not keep it from tidying up."""

    def __init__(self) -> None:
        self._is_armed = True
        self._task = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._ask)

    async def __aenter__(self) -> None:
        """Armed already: the stage is being set up before this."""

    async def __aexit__(self, *error: object) -> None:
        self._is_armed = False

    def _ask(self) -> None:
        if self._is_armed and self._task is not None:
            self._is_armed = False
            self._task.cancel()


async def _stay(stage: Stage, tour: Tour, teller: Teller) -> None:
    teller.say(
        f"""
The mesh goes on until Ctrl-C. In another terminal:

  export PILOT_CORE_SERVER=http://{stage.admin}
  pilot-core ps
  pilot-core services
  pilot-core endpoints reviews.books.mesh
  pilot-core registries
  curl http://{tour.front}/
  $EDITOR {stage.folder}/catalogue/shop.yaml      # break it, then: pilot-core problems
"""
    )
    await asyncio.Event().wait()


def _verdict(report: Report, *, is_complete: bool) -> str:
    if report.ok:
        return f"\nAll of it worked, in {report.seconds:.0f} s."
    if not is_complete and all(step.ok for step in report.steps):
        return "\nThe tour did not come to its end."
    return "\nNot all of it worked: see above."
