"""Pictures for people: crisp enlargement, panes side by side, rows of moments, captions."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worldmodels.runs.files import write_atomically

Color = tuple[int, int, int]

BACKGROUND: Color = (17, 21, 28)  # dark like a screen's frame, so that it suits a light page and a dark one
CAPTION: Color = (214, 220, 229)
GAP = 8  # pixels between pictures and around them
CAPTION_SIZE = 24  # pixels; a phone shows a film at less than half its size
CAPTION_HEIGHT = 38


@dataclass(frozen=True, eq=False)
class Pane:
    """One of several films shown side by side."""

    caption: str | Sequence[str]  # one for all frames, or one for each
    frames: np.ndarray  # (T, H, W, 3) uint8

    def caption_at(self, time: int) -> str:
        return self.caption if isinstance(self.caption, str) else self.caption[time]


def upscale(frames: np.ndarray, factor: int) -> np.ndarray:
    """Enlarge (..., H, W, 3) by a whole factor; every pixel becomes a sharp square."""
    if factor < 1:
        raise ValueError(f"factor must be at least 1, got {factor}")
    return frames.repeat(factor, axis=-3).repeat(factor, axis=-2)


def side_by_side(panes: Sequence[Pane], factor: int) -> Iterator[np.ndarray]:
    """The panes beside each other, enlarged, under their captions: (H, W, 3) uint8, one for each time.

    Panes that are shorter than the longest keep showing their last frame.
    """
    longest = max(len(pane.frames) for pane in panes)
    height = max(pane.frames.shape[1] for pane in panes) * factor
    width = GAP + sum(pane.frames.shape[2] * factor + GAP for pane in panes)
    canvas = Image.new("RGB", (width, CAPTION_HEIGHT + height + GAP), BACKGROUND)
    for time in range(longest):
        left = GAP
        canvas.paste(BACKGROUND, (0, 0, width, CAPTION_HEIGHT))
        for pane in panes:
            now = min(time, len(pane.frames) - 1)
            frame = upscale(pane.frames[now], factor)
            canvas.paste(Image.fromarray(frame), (left, CAPTION_HEIGHT))
            _write(canvas, pane.caption_at(now), left, 0)
            left += frame.shape[1] + GAP
        yield np.asarray(canvas).copy()


def in_rows(rows: Sequence[tuple[str, np.ndarray]], factor: int) -> np.ndarray:
    """Still frames in rows, each under its caption ("" for none), enlarged: (H, W, 3) uint8.

    Args:
        rows: caption and frames (N, h, w, 3) uint8, the frames of all rows of one size.
    """
    height, width = (side * factor for side in rows[0][1].shape[1:3])
    columns = max(len(frames) for _, frames in rows)
    total = GAP + sum((CAPTION_HEIGHT if caption else 0) + height + GAP for caption, _ in rows)
    canvas = Image.new("RGB", (GAP + columns * (width + GAP), total), BACKGROUND)
    top = GAP
    for caption, frames in rows:
        if caption:
            _write(canvas, caption, GAP, top - GAP // 2)
            top += CAPTION_HEIGHT
        for column, frame in enumerate(upscale(frames, factor)):
            canvas.paste(Image.fromarray(frame), (GAP + column * (width + GAP), top))
        top += height + GAP
    return np.asarray(canvas).copy()


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture (H, W, 3) uint8, all or nothing."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    write_atomically(path, buffer.getvalue())


def _write(canvas: Image.Image, text: str, left: int, top: int) -> None:
    """One line of text, centred in the caption's height."""
    font = ImageFont.load_default(CAPTION_SIZE)
    middle = top + CAPTION_HEIGHT // 2
    ImageDraw.Draw(canvas).text((left, middle), text, font=font, fill=CAPTION, anchor="lm")
