"""Pictures for the documents, small enough for a repository: few colours, few pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

COLOURS, FILM_COLOURS = 128, 64


def save_shot(png: bytes, path: Path) -> None:
    """A browser's screenshot."""
    shot = Image.open(io.BytesIO(png)).convert("RGB")
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def save_film(pictures: Sequence[Image.Image], path: Path, width: int, rate: float) -> None:
    """Pictures of one size, `rate` a second, as an animated GIF of that width."""
    height = round(width * pictures[0].height / pictures[0].width)
    small = [picture.resize((width, height), Image.Resampling.LANCZOS) for picture in pictures]
    palette = small[len(small) // 2].quantize(FILM_COLOURS)
    first, *others = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in small]
    first.save(path, save_all=True, append_images=others, duration=round(1000 / rate), loop=0, optimize=False)
