"""What the conformance suite needs to know of a platform: a harness that plugin authors write.

A harness is a real platform or a fake one; the suite cannot tell, and need not.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self, TypeAlias

from pilot_core.clock import Clock, SystemClock

Services: TypeAlias = Mapping[str, Sequence[str]]
"""Name to addresses."""


class Platform(abc.ABC):
    """One platform with an empty registry, for one test.

    It is entered and used on the event loop of the test: servers and clients that belong to a loop
    are made in `__aenter__`, not before. What takes seconds to start (a real server's process) may
    live longer, in a fixture of wider scope, as long as the registry is empty at `__aenter__`.
    """

    can_disconnect: ClassVar[bool] = True
    """False for what is never out of reach, such as a folder on this machine."""
    can_spoil: ClassVar[bool] = True
    """False where the platform's own checks let no object through that cannot be used."""

    can_lose_part: ClassVar[bool] = False
    """True for what has parts that can be out of reach while others are not: sites, clusters."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(  # noqa: B027  many have nothing to stop
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop what `__aenter__` started."""

    @abc.abstractmethod
    def config(self) -> Any:
        """Settings that lead an adapter to this platform: a new, equal instance at every call.
        An adapter that polls is told to poll often."""

    @abc.abstractmethod
    async def set(self, services: Services) -> None:
        """From now on the registry holds exactly these services, and is whole again where it was
        spoilt: name (a DNS label) to the IPv4 addresses of its instances, at least one each.
        Called only while the platform is connected."""

    async def spoil(self, name: str) -> None:
        """Make this one service's object unusable, as a slip of its owner would, without removing
        it. The others stay as they are."""
        raise TypeError(f"{type(self).__name__} says can_spoil, and does not say how")

    async def disconnect(self) -> None:
        """Take the platform away: open connections end, new ones fail."""
        raise TypeError(f"{type(self).__name__} says can_disconnect, and does not say how")

    async def reconnect(self) -> None:
        """Bring it back where it was, with what the registry held."""
        raise TypeError(f"{type(self).__name__} says can_disconnect, and does not say how")

    async def lose_part(self) -> None:
        """Take away the part of the platform that holds the service `web`; the others stay within
        reach."""
        raise TypeError(f"{type(self).__name__} says can_lose_part, and does not say how")

    async def find_part(self) -> None:
        """Bring that part back."""
        raise TypeError(f"{type(self).__name__} says can_lose_part, and does not say how")

    def hostname(self, name: str) -> str:
        """The hostname that the adapter gives to the service of this name."""
        return name

    def clock(self) -> Clock:
        """The clock that the adapter is lent."""
        return SystemClock()
