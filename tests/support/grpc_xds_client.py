"""A program: gRPC's own xDS client, told line by line what to do, answering with lines of JSON.

    call TARGET COUNT    who answered how many of so many calls; errors count by their status code
    close TARGET         forget the channel

A program of its own, because gRPC reads GRPC_XDS_BOOTSTRAP once per process.
"""

from __future__ import annotations

import collections
import json
import sys

import grpc

METHOD = "/test.Names/Say"
_PATIENCE = 10.0
_channels: dict[str, grpc.Channel] = {}


def _call(target: str, count: int) -> dict[str, int]:
    channel = _channels.get(target)
    if channel is None:
        channel = _channels[target] = grpc.insecure_channel(target)
    say = channel.unary_unary(METHOD)
    answers: collections.Counter[str] = collections.Counter()
    for _ in range(count):
        try:
            answers[say(b"", timeout=_PATIENCE, wait_for_ready=False).decode()] += 1
        except grpc.RpcError as error:
            answers[error.code().name] += 1
    return dict(answers)


def main() -> None:
    for line in sys.stdin:
        verb, target, *rest = line.split()
        if verb == "close":
            _channels.pop(target).close()
            answers = {}
        else:
            answers = _call(target, int(rest[0]))
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
