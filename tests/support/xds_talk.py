"""A conversation with one stream: what a test says, and what the stream says to it."""

from __future__ import annotations

from collections.abc import Mapping

from pilot_xds.layer import Layer
from pilot_xds.requests import Heard
from pilot_xds.snapshot import Snapshot
from pilot_xds.stream import Stream
from pilot_xds.types import ResourceType, Variant
from pilot_xds.wire import Reader
from xds_messages import Said, delta, read, resource, sotw

Contents = Mapping[ResourceType, Mapping[str, str]]


class Talk:
    """`give` makes each snapshot out of the one before, as the server does."""

    def __init__(self, variant: Variant, contents: Contents | None = None) -> None:
        self.variant = variant
        self.stream = Stream(variant, Reader())
        self.now = 0.0
        self._layers: dict[ResourceType, Layer] = {}
        if contents is not None:
            self.give(contents)

    def give(self, contents: Contents) -> None:
        """This is all that there is now, of the types that are named."""
        for kind, texts in contents.items():
            before = self._layers.get(kind, Layer.of(kind))
            gone = before.resources.keys() - texts.keys()
            made = [resource(kind, name, text) for name, text in texts.items()]
            self._layers[kind] = before.replace(made, gone)
        self.stream.update(self.snapshot)

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot({kind: (layer,) for kind, layer in self._layers.items()})

    def say(self, data: bytes) -> Heard:
        heard, _ = self.stream.receive(data, self.now)
        return heard

    def hear(self) -> Said | None:
        """The next response."""
        response = self.stream.next(self.now)
        return None if response is None else read(self.variant, response.data)

    def hear_all(self) -> list[Said]:
        """Everything that is said before the client says something."""
        found = []
        while (said := self.hear()) is not None:
            found.append(said)
        return found

    def ask(self, kind: ResourceType, *names: str) -> list[Said]:
        """The first request of a type, and what comes back."""
        self.say(delta(kind, names) if self.variant is Variant.DELTA else sotw(kind, names))
        return self.hear_all()

    def answer(self, said: Said, *names: str, error: str | None = None) -> Heard:
        """An acknowledgement or a refusal; in state of the world with all names."""
        assert said.type is not None
        if self.variant is Variant.DELTA:
            return self.say(delta(said.type, response_nonce=said.nonce, error=error))
        more = {"version_info": said.version, "response_nonce": said.nonce}
        return self.say(sotw(said.type, names, error=error, **more))

    def settle(self, **names: tuple[str, ...]) -> None:
        """Acknowledge everything that comes until nothing does; names by short type."""
        while (said := self.hear()) is not None:
            assert said.type is not None
            self.answer(said, *names.get(said.type.short, ()))
