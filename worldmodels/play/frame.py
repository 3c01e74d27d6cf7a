"""What the server sends: events as JSON, pictures as binary frames."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

Event = dict[str, Any]  # with a "type"


class Frame(NamedTuple):
    """Pictures and what there is to say about them."""

    header: dict[str, Any]  # with "screen" and "panes", a name for each picture
    panes: np.ndarray  # (n, 64, 64, 3) uint8
    moving: bool = True  # of a running screen: numbered, acknowledged, and left out when the way is full


class Recording(NamedTuple):
    """The wish to have the last steps of a dream as a film."""

    format: str  # "mp4" or "gif"
    latents: np.ndarray  # (T, Z) float32, one a step


Output = Event | Frame | Recording


def as_text(event: Event) -> str:
    """An event on the wire."""
    return json.dumps(event, separators=(",", ":"), allow_nan=False)


def as_bytes(frame: Frame, number: int | None) -> bytes:
    """A frame on the wire: length of the header (4 bytes, little endian), the header as JSON, the panes' bytes."""
    header = frame.header if number is None else {**frame.header, "n": number}
    text = as_text(header).encode()
    return b"".join((len(text).to_bytes(4, "little"), text, np.ascontiguousarray(frame.panes).tobytes()))


def rounded(numbers: Tensor | np.ndarray, digits: int = 5) -> list[float]:
    """As a list that is short to write down: (n,)."""
    return [round(number, digits) for number in numbers.tolist()]
