"""The suite that every adapter passes, whatever its platform.

    class TestShop(AdapterConformance):
        adapter = Shop

        @pytest.fixture
        def platform(self) -> Platform:
            return FakeShop()

An adapter that passes keeps its part of the contract; the core keeps the rest. No plugin of pytest
is needed: each check runs an event loop of its own, for at most a minute.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

import pytest

from pilot_core.adapter import API, Adapter, Config
from pilot_core.document import Mapping, Scalar, decode
from pilot_core.document.tree import Entry
from pilot_core.errors import ConfigError
from pilot_core.testing import watching
from pilot_core.testing.platform import Platform, Services
from pilot_core.testing.running import Running, needs, run_scenario, running
from pilot_core.testing.session import host

__all__ = ["AdapterConformance", "Platform"]

FIRST: Services = {"web": ["10.1.0.1", "10.1.0.2"], "api": ["10.1.0.3"]}


class AdapterConformance:
    """Inherit it as `TestX`, set `adapter`, and give a fixture `platform`."""

    adapter: ClassVar[type[Adapter]]
    patience: ClassVar[float] = 15.0
    """Seconds for whatever the adapter has to notice; more for a platform that is slow to tell."""
    grace: ClassVar[float] = 5.0
    """Seconds for cleaning up after a cancellation: what the core waits before it gives up."""

    # What stands still

    def test_it_is_written_for_this_contract(self) -> None:
        assert issubclass(self.adapter, Adapter), f"{self.adapter.__name__} is no Adapter"
        assert "api" in vars(self.adapter), (
            f"write the contract down in your class: `api = {API}`; without it, your adapter would "
            "claim to know every later contract too"
        )
        assert self.adapter.api == API, f"it speaks contract {self.adapter.api}, the core {API}"

    def test_the_settings_are_frozen_and_comparable(self, platform: Platform) -> None:
        async def scenario() -> None:
            one, other = platform.config(), platform.config()
            assert isinstance(one, Config), (
                "Config has to be a subclass of pilot_core.adapter.Config"
            )
            assert isinstance(one, self.adapter.Config), "platform.config() is of another class"
            assert one is not other, "platform.config() has to make a new instance at every call"
            assert type(one).__struct_config__.frozen, "say frozen=True: settings never change"
            assert one == other, "equal settings differ: every reload would begin a new session"

        run_scenario(platform, scenario)

    def test_unknown_settings_are_refused(self) -> None:
        config = self.adapter.Config
        assert config.__struct_config__.forbid_unknown_fields, (
            "do not take forbid_unknown_fields back: a typing error would be no error"
        )
        section = Mapping({"surely_no_setting": Entry(Scalar(1, 1, 1), 1, 1)}, 1, 1)
        with pytest.raises(ConfigError, match="surely_no_setting"):
            decode(section, config)

    def test_making_one_does_nothing_yet(self, platform: Platform) -> None:
        async def scenario() -> None:
            config, lent = platform.config(), host(platform.clock())
            before = asyncio.all_tasks()
            with watching.io_calls() as seen:
                self.adapter(config, lent)
            assert not seen, f"no I/O in __init__, it belongs into run(): {seen[0]}"
            assert before == asyncio.all_tasks(), "__init__ started a task: it belongs into run()"

        run_scenario(platform, scenario)

    def test_the_check_talks_to_no_platform(self, platform: Platform) -> None:
        async def scenario() -> None:
            await platform.set(FIRST)
            config = platform.config()
            with watching.network_calls() as seen:
                list(self.adapter.check(config))
            assert not seen, f"check() looks at local files only, it did: {seen[0]}"

        run_scenario(platform, scenario)

    # One session

    def test_an_empty_registry_is_synced_too(self, platform: Platform) -> None:
        async def scenario() -> None:
            async with self._session(platform) as run:
                await run.synced()
                assert run.view() == {}, "services out of nowhere"

        run_scenario(platform, scenario)

    def test_the_first_view_is_complete_when_it_says_synced(self, platform: Platform) -> None:
        async def scenario() -> None:
            await platform.set(FIRST)
            async with self._session(platform) as run:
                await run.synced()
                got = run.of_suite(run.sink.synced_with or {})
                assert got == FIRST, f"synced() with {got} while the registry held {FIRST}"
                assert not run.sink.problems, f"sound objects were refused: {run.sink.problems}"

        run_scenario(platform, scenario)

    def test_a_change_replaces_what_was_there(self, platform: Platform) -> None:
        changed = {"web": ["10.1.0.9"], "api": ["10.1.0.3"]}
        self._follows(platform, FIRST, changed, "a changed service has to replace the old one")

    def test_a_new_service_is_followed(self, platform: Platform) -> None:
        self._follows(platform, FIRST, {**FIRST, "extra": ["10.1.0.8"]}, "it is not followed")

    def test_a_service_that_is_removed_goes(self, platform: Platform) -> None:
        self._follows(platform, FIRST, {"api": FIRST["api"]}, "what is removed has to go")

    def test_the_last_service_goes_too(self, platform: Platform) -> None:
        self._follows(platform, FIRST, {}, "an empty registry is an answer as any other")

    def test_an_equal_registry_changes_nothing(self, platform: Platform) -> None:
        async def scenario() -> None:
            await platform.set(FIRST)
            async with self._session(platform) as run:
                await run.sees(FIRST)
                run.sink.take_changes()
                await platform.set(FIRST)
                after = {**FIRST, "extra": ["10.1.0.8"]}
                await platform.set(after)
                await run.sees(after)
                hostname = platform.hostname("extra")
                others = {key for key in run.sink.take_changes() if key[1] != hostname}
                assert not others, f"nothing had changed about {others}: the records differ"

        run_scenario(platform, scenario)

    # Trouble

    def test_an_unusable_object_is_told_and_the_rest_stands(self, platform: Platform) -> None:
        async def scenario() -> None:
            needs(platform.can_spoil, "no object of this platform can be spoilt")
            await platform.set(FIRST)
            async with self._session(platform) as run:
                await run.sees(FIRST)
                await platform.spoil("web")
                await run.until(lambda: run.sink.problems, "nobody was told: sink.warn()")
                assert run.view() == FIRST, "what was last put stays: stale beats partial"
                healed = {"web": ["10.1.0.7"], "api": ["10.1.0.3"]}
                await platform.set(healed)
                await run.sees(healed)
                await run.until(lambda: not run.sink.problems, "it is sound again, and shown")

        run_scenario(platform, scenario)

    def test_an_unusable_object_does_not_hold_up_the_first_view(self, platform: Platform) -> None:
        async def scenario() -> None:
            needs(platform.can_spoil, "no object of this platform can be spoilt")
            await platform.set(FIRST)
            await platform.spoil("web")
            async with self._session(platform) as run:
                await run.synced()
                assert run.view().get("api") == FIRST["api"], "the others have to be there"
                await run.until(lambda: run.sink.problems, "nobody was told: sink.warn()")

        run_scenario(platform, scenario)

    def test_a_platform_that_goes_away_ends_the_session(self, platform: Platform) -> None:
        async def scenario() -> None:
            needs(platform.can_disconnect, "this platform is never out of reach")
            await platform.set(FIRST)
            async with self._session(platform) as run:
                await run.sees(FIRST)
                await platform.disconnect()
                await run.outage()
                assert run.view() == FIRST, "an outage takes nothing away: just raise"

        run_scenario(platform, scenario)

    def test_a_platform_that_is_not_there_ends_the_session(self, platform: Platform) -> None:
        async def scenario() -> None:
            needs(platform.can_disconnect, "this platform is never out of reach")
            await platform.disconnect()
            async with self._session(platform) as run:
                await run.outage()
                assert not run.sink.is_synced, "synced() without having seen the registry"

        run_scenario(platform, scenario)

    def test_a_part_that_is_lost_keeps_what_was_put_of_it(self, platform: Platform) -> None:
        async def scenario() -> None:
            needs(platform.can_lose_part, "this platform is one whole")
            await platform.set(FIRST)
            async with self._session(platform) as run:
                await run.sees(FIRST)
                await platform.lose_part()
                await run.stop()
                await run.again()
                await run.synced()
                assert run.view() == FIRST, "what cannot be read has not gone: sink.keep()"
                await run.until(lambda: run.sink.lost, "nobody was told: sink.keep()")
                await platform.find_part()
                now = {"web": ["10.1.0.9"], "api": ["10.1.0.3"]}
                await platform.set(now)
                await run.sees(now, "the part is back")
                await run.until(lambda: not run.sink.lost, "it is back, and shown: sink.synced()")

        run_scenario(platform, scenario)

    def test_the_next_session_leaves_no_ghosts(self, platform: Platform) -> None:
        async def scenario() -> None:
            await platform.set(FIRST)
            now = {"api": ["10.1.0.4"], "extra": ["10.1.0.8"]}
            async with self._session(platform) as run:
                await run.sees(FIRST)
                await (run.outage_and_back() if platform.can_disconnect else run.stop())
                await platform.set(now)
                await run.again()
                await run.synced()
                got = run.of_suite(run.sink.synced_with or {})
                assert got == now, f"after the next synced() there is {got}, the registry has {now}"

        run_scenario(platform, scenario)

    def test_the_next_session_changes_nothing_where_nothing_changed(
        self, platform: Platform
    ) -> None:
        async def scenario() -> None:
            await platform.set(FIRST)
            async with self._session(platform) as run:
                await run.sees(FIRST)
                run.sink.take_changes()
                await run.stop()
                await run.again()
                await run.synced()
                changed = run.sink.take_changes()
                assert not changed, f"the same registry, read again, gave other records: {changed}"

        run_scenario(platform, scenario)

    # The end

    def test_it_stops_when_it_is_told_to(self, platform: Platform) -> None:
        async def scenario() -> None:
            await platform.set(FIRST)
            async with self._session(platform) as run:
                await run.sees(FIRST)
                await run.stop()

        run_scenario(platform, scenario)

    def test_it_stops_on_the_way_to_its_first_view_too(self, platform: Platform) -> None:
        async def scenario() -> None:
            await platform.set(FIRST)
            for turns in range(12):
                async with self._session(platform) as run:
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    await run.stop()

        run_scenario(platform, scenario)

    def test_it_leaves_nothing_behind(self, platform: Platform) -> None:
        async def scenario() -> None:
            await platform.set(FIRST)
            adapter = self._make(platform)  # alive to the end: nothing is collected with it
            kinds = (watching.tasks, watching.threads, watching.descriptors)
            before = [kind() for kind in kinds]
            async with self._running(platform, adapter) as run:
                await run.sees(FIRST)
                await run.stop()
                for kind, known in zip(kinds, before, strict=True):
                    await run.gone(kind, known)

        run_scenario(platform, scenario)

    def test_two_of_its_kind_live_side_by_side(self, platform: Platform) -> None:
        async def scenario() -> None:
            await platform.set(FIRST)
            async with self._session(platform) as one, self._session(platform) as other:
                await one.sees(FIRST)
                await other.sees(FIRST)
                await one.stop()
                after = {"web": ["10.1.0.9"]}
                await platform.set(after)
                await other.sees(after)

        run_scenario(platform, scenario)

    def _make(self, platform: Platform) -> Adapter:
        return self.adapter(platform.config(), host(platform.clock()))

    def _session(self, platform: Platform) -> AbstractAsyncContextManager[Running]:
        return self._running(platform, self._make(platform))

    def _running(
        self, platform: Platform, adapter: Adapter
    ) -> AbstractAsyncContextManager[Running]:
        return running(platform, adapter, patience=self.patience, grace=self.grace)

    def _follows(self, platform: Platform, first: Services, then: Services, problem: str) -> None:
        async def scenario() -> None:
            await platform.set(first)
            async with self._session(platform) as run:
                await run.sees(first)
                await platform.set(then)
                await run.sees(then, problem)

        run_scenario(platform, scenario)
