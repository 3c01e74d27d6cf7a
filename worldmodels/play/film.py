"""Films of a dream for people to keep: painted again from its latents, kept in memory for ten minutes."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from worldmodels.play.frame import Recording
from worldmodels.play.painter import Painter
from worldmodels.report.video import encode_video

SCALE = 4  # pixels a side that one pixel of a 64x64 frame becomes
GIF_SCALE, GIF_FPS = (
    3,
    25.0,
)  # a GIF holds all its frames in memory while it is made, and browsers slow down faster ones
AT_ONCE = 8  # frames in a batch: others wait for their pictures meanwhile
KEPT_FOR = 600.0  # seconds
KEPT_BYTES = 32_000_000  # of all films together; the oldest go first


class Film(NamedTuple):
    """A film and when it was made."""

    data: bytes
    media_type: str
    made: float


class Films:
    """The films of all sessions, by name."""

    def __init__(
        self, painter: Painter, device: torch.device, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._painter, self._device, self._now = painter, device, now
        self._films: OrderedDict[str, Film] = OrderedDict()
        self._lock = threading.Lock()
        # One film at a time: encoding takes all cores, and every thread that has done it keeps memory for it.
        self._cutting = ThreadPoolExecutor(1, "film")

    def order(self, recording: Recording, steps_per_second: float) -> Future[tuple[str, int]]:
        """Have a film made, see `make`."""
        return self._cutting.submit(self.make, recording, steps_per_second)

    def close(self) -> None:
        """Give back the thread; films that nobody has begun are not made."""
        self._cutting.shutdown(wait=False, cancel_futures=True)

    def make(self, recording: Recording, steps_per_second: float) -> tuple[str, int]:
        """Paint and encode a recording. Returns its name, with the ending, and its bytes."""
        every, scale, fps = 1, SCALE, steps_per_second
        if recording.format == "gif":
            every = max(1, round(steps_per_second / GIF_FPS))
            scale, fps = GIF_SCALE, steps_per_second / every
        data = encode_video(f".{recording.format}", self._frames(recording.latents[::every], scale), fps)
        name = f"{secrets.token_urlsafe(16)}.{recording.format}"
        media_type = "image/gif" if recording.format == "gif" else "video/mp4"
        with self._lock:
            self._films[name] = Film(data, media_type, self._now())
            self._forget()
        return name, len(data)

    def get(self, name: str) -> Film | None:
        """A film that is still kept."""
        with self._lock:
            self._forget()
            return self._films.get(name)

    def _forget(self) -> None:
        oldest_kept = self._now() - KEPT_FOR
        while self._films:
            name, film = next(iter(self._films.items()))
            total = sum(len(film.data) for film in self._films.values())
            if film.made >= oldest_kept and (total <= KEPT_BYTES or len(self._films) == 1):
                return
            del self._films[name]

    def _frames(self, latents: np.ndarray, scale: int) -> Iterator[np.ndarray]:
        for first in range(0, len(latents), AT_ONCE):
            part = torch.from_numpy(latents[first : first + AT_ONCE]).to(self._device)
            for frame in self._painter.paint(part):
                yield frame.repeat(scale, axis=0).repeat(scale, axis=1)
