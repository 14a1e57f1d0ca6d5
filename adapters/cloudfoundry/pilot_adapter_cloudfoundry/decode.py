"""From Diego's messages to frozen values.

Rule 1: what cannot be read of one process is told in its `problem`, and harms no other.
Rule 2: of routes, only the three kinds of routers are looked into: others hold keys.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from google.protobuf.message import DecodeError

from pilot_adapter_cloudfoundry.lrp import (
    Desired,
    DesiredEvent,
    Event,
    Gone,
    HttpRoute,
    Instance,
    InstanceEvent,
    Mapping,
    Presence,
    Seen,
    Tag,
    TcpRoute,
)
from pilot_adapter_cloudfoundry.messages import Options
from pilot_adapter_cloudfoundry.route import Uri
from pilot_adapter_cloudfoundry.wire import MESSAGES

T = TypeVar("T")
_INSTANCE_ADDRESS = 1


class BbsError(Exception):
    """The BBS says, with a status of 200, that it could not answer."""

    def __init__(self, type: int, text: str) -> None:
        super().__init__(f"error {type}: {text[:200]}")
        self.type = type


class Unreadable(Exception):
    """Bytes that are no such message; the text never holds them."""


class _HttpEntry(msgspec.Struct, frozen=True):
    hostnames: list[str] | None = None
    port: int | None = None
    route_service_url: str | None = None
    isolation_segment: str | None = None
    protocol: str | None = None
    options: Options | None = None


class _TcpEntry(msgspec.Struct, frozen=True):
    router_group_guid: str | None = None
    external_port: int | None = None
    container_port: int | None = None


class _InternalEntry(msgspec.Struct, frozen=True):
    hostname: str | None = None


_http = msgspec.json.Decoder(list[_HttpEntry] | None)
_tcp = msgspec.json.Decoder(list[_TcpEntry] | None)
_internal = msgspec.json.Decoder(list[_InternalEntry] | None)


def actuals(data: bytes) -> list[Seen]:
    """A list of actual LRPs; those without an instance are left out.
    Raises BbsError, Unreadable."""
    found = (_actual(lrp) for lrp in _response("ActualLRPsResponse", data).actual_lrps)
    return [seen for seen in found if seen.key]


def desireds(data: bytes) -> list[Seen]:
    """A list of desired LRPs, or of their routing. Raises BbsError, Unreadable."""
    return [_desired(lrp) for lrp in _response("DesiredLRPsResponse", data).desired_lrps]


def domains(data: bytes) -> frozenset[str]:
    """The domains that are fresh. Raises BbsError, Unreadable."""
    return frozenset(_response("DomainsResponse", data).domains)


def events(kind: str, data: str) -> tuple[Event, ...]:
    """The event of a frame of the stream; none where it says nothing of an instance with a guid,
    or is of a kind that we need not know. Raises Unreadable."""
    read = _EVENTS.get(kind)
    if read is None:
        return ()
    name, make = read
    try:
        raw = base64.b64decode(data, validate=True)
    except ValueError:
        raise Unreadable(f"an event {kind} is no base64") from None
    made = make(_parse(name, raw))
    return (made,) if made.what.key else ()


def _response(name: str, data: bytes) -> Any:
    made = _parse(name, data)
    if made.HasField("error"):
        raise BbsError(made.error.type, made.error.message)
    return made


def _parse(name: str, data: bytes) -> Any:
    made = MESSAGES[name]()
    try:
        made.ParseFromString(data)
    except DecodeError:
        raise Unreadable(f"{len(data)} bytes are no {name}") from None
    return made


def _actual(lrp: Any) -> Seen:
    return _seen_instance(lrp.key, lrp.instance_key, lrp)


def _changed(event: Any) -> InstanceEvent:
    seen = _seen_instance(event.key, event.instance_key, event.after)
    before = event.before
    return InstanceEvent(
        msgspec.structs.replace(
            seen, replaces=_tag(before), replaced_rank=_rank(_presence(before.presence))
        )
    )


def _seen_instance(key: Any, instance_key: Any, info: Any) -> Seen:
    guid, presence, net = instance_key.instance_guid, _presence(info.presence), info.net_info
    made = Instance(
        guid=guid,
        process=key.process_guid,
        index=key.index,
        domain=key.domain,
        cell=instance_key.cell_id,
        is_running=info.state == "RUNNING",
        is_ready=info.routable or not info.HasField("routable"),
        presence=presence,
        address=net.address,
        container_address=net.instance_address,
        prefers_container=net.preferred_address == _INSTANCE_ADDRESS,
        ports=tuple(
            Mapping(
                p.container_port, p.host_port, p.container_tls_proxy_port, p.host_tls_proxy_port
            )
            for p in net.ports
        ),
        zone=info.availability_zone,
        since=info.since,
    )
    return Seen(guid, _tag(info), made, _rank(presence))


def _presence(number: int) -> Presence:
    return Presence(number) if number in (1, 2) else Presence.ORDINARY


def _rank(presence: Presence) -> int:
    """A cell that is lost changes the presence, and leaves the tag as it was."""
    return int(presence is Presence.SUSPECT)


def _tag(message: Any) -> Tag:
    return Tag(message.modification_tag.epoch, message.modification_tag.index)


def _desired(lrp: Any) -> Seen:
    routes = {entry.key: entry.value for entry in lrp.routes.routes}
    problems: list[str] = []
    guid = lrp.process_guid
    tags = {t.key: t.value.static for t in lrp.metric_tags if not t.value.dynamic}
    http = _read(_http, "cf-router", routes, problems) or ()
    tcp = _read(_tcp, "tcp-router", routes, problems) or ()
    internal = _read(_internal, "internal-router", routes, problems) or ()
    segment = lrp.placement_tags[0] if lrp.placement_tags else ""
    made = Desired(
        process=guid,
        domain=lrp.domain,
        app=lrp.log_guid,
        instances=lrp.instances,
        ports=tuple(lrp.ports),
        http=tuple(route for entry in http for route in _http_routes(entry)),
        tcp=tuple(
            TcpRoute(
                entry.router_group_guid or "", entry.external_port or 0, entry.container_port or 0
            )
            for entry in tcp
            if entry.external_port
        ),
        internal=tuple(dict.fromkeys(e.hostname.lower() for e in internal if e.hostname)),
        segment=segment,
        tags=tuple(sorted(tags.items())),
        problem="; ".join(problems),
    )
    return Seen(guid, _tag(lrp), made)


def _read(
    decoder: msgspec.json.Decoder[T], kind: str, routes: dict[str, bytes], problems: list[str]
) -> T | None:
    try:
        return decoder.decode(routes[kind]) if routes.get(kind) else None
    except msgspec.MsgspecError as error:
        problems.append(f"its routes of {kind} cannot be read: {error}")
        return None


def _http_routes(entry: _HttpEntry) -> list[HttpRoute]:
    found = (Uri.parse(text) for text in entry.hostnames or () if text)
    options = entry.options or Options()
    return [
        HttpRoute(
            host=where.host,
            path=where.path,
            port=entry.port or 0,
            is_http2=entry.protocol == "http2",
            segment=entry.isolation_segment or "",
            has_route_service=bool(entry.route_service_url),
            has_policy=options.has_policy,
            balancing=options.balancing,
        )
        for where in found
    ]


def _desired_changed(event: Any) -> DesiredEvent:
    seen = _desired(event.after)
    return DesiredEvent(msgspec.structs.replace(seen, replaces=_tag(event.before)))


def _gone_instance(event: Any) -> InstanceEvent:
    lrp = event.actual_lrp
    return InstanceEvent(Gone(lrp.instance_key.instance_guid, _tag(lrp)))


def _gone_desired(event: Any) -> DesiredEvent:
    return DesiredEvent(Gone(event.desired_lrp.process_guid, _tag(event.desired_lrp)))


_EVENTS: dict[str, tuple[str, Callable[[Any], Event]]] = {
    "desired_lrp_created": (
        "DesiredLRPEvent",
        lambda event: DesiredEvent(_desired(event.desired_lrp)),
    ),
    "desired_lrp_changed": ("DesiredLRPChangedEvent", _desired_changed),
    "desired_lrp_removed": ("DesiredLRPEvent", _gone_desired),
    "actual_lrp_instance_created": (
        "ActualLRPInstanceEvent",
        lambda event: InstanceEvent(_actual(event.actual_lrp)),
    ),
    "actual_lrp_instance_changed": ("ActualLRPInstanceChangedEvent", _changed),
    "actual_lrp_instance_removed": ("ActualLRPInstanceEvent", _gone_instance),
}
"""A crash has no version and no effect of its own: what it changes comes with the others."""
