"""Messages between the Gymnasium backend and its workers: one line of JSON each. Frames go through shared memory.

A frame of 230 kB costs tens of microseconds there, and ten times as much in a pipe, whose buffer it does not fit.
"""

import json
import mmap
import os
import tempfile
from typing import Any, BinaryIO

import numpy as np


def write_message(stream: BinaryIO, message: dict[str, Any]) -> None:
    """Write a message."""
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


def read_message(stream: BinaryIO) -> dict[str, Any] | None:
    """The next message; None when the other end has closed the stream."""
    line = stream.readline()
    return json.loads(line) if line.endswith(b"\n") else None


class SharedFrames:
    """Frames of n games that two processes see: a nameless file in memory, which goes when both have let go of it."""

    def __init__(self, frame_shape: tuple[int, ...], descriptor: int | None = None) -> None:
        self.frame_shape = frame_shape
        self.descriptor = _memory_file() if descriptor is None else descriptor
        self.frames = np.zeros((0, *frame_shape), np.uint8)  # (n, H, W, 3)

    def resize(self, games: int) -> None:
        """Have room for `games` frames; earlier ones are lost."""
        size = max(1, games * int(np.prod(self.frame_shape)))
        if os.fstat(self.descriptor).st_size < size:
            os.ftruncate(self.descriptor, size)
        view = np.frombuffer(mmap.mmap(self.descriptor, size), np.uint8)  # keeps the mapping alive
        self.frames = view[: games * int(np.prod(self.frame_shape))].reshape(games, *self.frame_shape)

    def of(self, games: np.ndarray) -> np.ndarray:
        """Frames of these games, given in ascending order: a view where they are neighbours, else a copy."""
        neighbours = self.frames[games[0] : games[-1] + 1]
        return neighbours if len(neighbours) == len(games) else self.frames[games]

    def close(self) -> None:
        """Let go of the memory; may be called twice."""
        self.frames = np.zeros((0, *self.frame_shape), np.uint8)
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _memory_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("worldmodels-frames")
    with tempfile.TemporaryFile() as file:  # elsewhere a file without a name does
        return os.dup(file.fileno())
