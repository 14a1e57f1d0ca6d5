"""Messages pass grpclib as bytes: what they mean is decided where it matters."""

from __future__ import annotations

from typing import Any

from grpclib.encoding.base import CodecBase


class Bytes(CodecBase):
    """Bytes in, bytes out."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> bytes:
        return data
