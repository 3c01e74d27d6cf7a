"""Messages between the Gymnasium backend and its workers: one line of JSON, then raw bytes.

A game's frames are about 27 kB, which cost microseconds in a pipe where the step that made them cost
milliseconds.
"""

import json
from typing import Any, BinaryIO


def write_message(stream: BinaryIO, message: dict[str, Any], payload: bytes = b"") -> None:
    """Write a message and the bytes that belong to it."""
    stream.write(json.dumps({**message, "payload": len(payload)}).encode() + b"\n")
    stream.write(payload)
    stream.flush()


def read_message(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next message and its bytes; None when the other end has closed the stream."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    message = json.loads(line)
    size = message.pop("payload")
    payload = stream.read(size)
    return (message, payload) if len(payload) == size else None
