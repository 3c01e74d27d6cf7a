"""Frames to a video that opens anywhere: H.264 in an .mp4, or an animated .gif."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from worldmodels.errors import UserError
from worldmodels.runs.files import write_atomically

ENDINGS = (".mp4", ".gif")
QUALITY = 22  # x264's constant rate factor: lower is finer and larger; at 22 enlarged pixels keep clean edges
BT709 = (
    1  # how colours are turned into YUV; said in the file too, since players guess differently when it is not
)
LIMITED_RANGE = 1  # luma 16..235, which every browser expects of yuv420p


def write_video(path: Path, frames: Iterable[np.ndarray], fps: float) -> None:
    """Write frames as a video, all or nothing; the ending of `path` chooses the format, .mp4 or .gif.

    Frames are taken one by one, so a generator of a long video costs little memory. An .mp4 needs even sides:
    the last row or column is repeated where they are odd. A .gif counts hundredths of a second, and equal
    frames in a row become one that lasts longer. The same frames give the same film, but not always the same
    bytes: x264 decides some details by chance.

    Args:
        frames: (T, H, W, 3) uint8, or anything that yields (H, W, 3) uint8 frames of one size. At least one.
        fps: frames a second, > 0.
    Raises:
        UserError: for another ending, or when `path` cannot be written.
        ValueError: for no frames, frames of another kind, or an fps that is not positive.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise UserError(f"{path} is no video that can be written here: let its name end in .mp4 or .gif")
    write_atomically(path, encode_video(ending, frames, fps))


def encode_video(ending: str, frames: Iterable[np.ndarray], fps: float) -> bytes:
    """The bytes that `write_video` writes; `ending` is one of ENDINGS. Raises its ValueErrors."""
    if not fps > 0:
        raise ValueError(f"fps must be positive, got {fps}")
    return _mp4(_checked(frames), fps) if ending == ".mp4" else _gif(_checked(frames), fps)


def _checked(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same frames, each shown to be (H, W, 3) uint8 and of the first one's size; at least one."""
    shape: tuple[int, ...] | None = None
    for frame in frames:
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise ValueError(f"a frame must be (H, W, 3) uint8, got {frame.shape} {frame.dtype}")
        if shape is not None and frame.shape != shape:
            raise ValueError(f"frames must be of one size, got {shape} and {frame.shape}")
        shape = frame.shape
        yield frame
    if shape is None:
        raise ValueError("a video needs at least one frame")


def _mp4(frames: Iterator[np.ndarray], fps: float) -> bytes:
    import av  # here, because it loads a dozen shared libraries that readers of a report do not need

    first = next(frames)
    with tempfile.TemporaryDirectory() as folder:  # moving the index to the front needs a real file
        aside = Path(folder) / "video.mp4"
        with av.open(str(aside), "w", options={"movflags": "+faststart"}) as container:
            options = {"crf": str(QUALITY), "preset": "medium"}
            stream = container.add_stream("libx264", Fraction(fps).limit_denominator(1001), options=options)
            stream.height, stream.width = (side + side % 2 for side in first.shape[:2])
            stream.pix_fmt = "yuv420p"
            encoder = stream.codec_context
            encoder.color_primaries = encoder.color_trc = encoder.colorspace = BT709
            encoder.color_range = LIMITED_RANGE
            for frame in _with_first(first, frames):
                picture = av.VideoFrame.from_ndarray(_even(frame), format="rgb24")
                picture = picture.reformat(format="yuv420p", dst_colorspace=BT709)
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        return aside.read_bytes()


def _gif(frames: Iterator[np.ndarray], fps: float) -> bytes:
    pictures = [Image.fromarray(frame).quantize(dither=Image.Dither.NONE) for frame in frames]
    duration = max(20, 10 * round(100 / fps))  # milliseconds; browsers slow down anything faster than 20
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "GIF", save_all=True, append_images=pictures[1:], duration=duration, loop=0, disposal=1
    )
    return buffer.getvalue()


def _with_first(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from rest


def _even(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(frame)
