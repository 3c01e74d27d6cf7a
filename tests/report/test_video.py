"""Videos are what was put in, in a form that every browser plays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from worldmodels.errors import UserError
from worldmodels.report.video import write_video

COLORS = [(200, 40, 40), (40, 180, 60), (30, 60, 200), (128, 128, 128), (250, 250, 250), (5, 5, 5)]


def flat_frames(height: int, width: int) -> np.ndarray:
    """One frame of each colour: (6, height, width, 3) uint8."""
    return np.broadcast_to(np.array(COLORS, np.uint8)[:, None, None], (6, height, width, 3)).copy()


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as video:
        pictures = [
            frame.reformat(format="rgb24", src_colorspace=1).to_ndarray() for frame in video.decode(video=0)
        ]
    return np.stack(pictures)


def test_an_mp4_comes_back_as_it_was(tmp_path):
    frames = flat_frames(48, 64)
    write_video(tmp_path / "a.mp4", frames, fps=12.5)
    back = decoded(tmp_path / "a.mp4")
    assert back.shape == frames.shape
    assert np.abs(back.astype(int) - frames).max() <= 6


def test_an_mp4_is_what_browsers_play(tmp_path):
    write_video(tmp_path / "a.mp4", flat_frames(32, 32), fps=12.5)
    with av.open(str(tmp_path / "a.mp4")) as video:
        stream = video.streams.video[0]
        codec = stream.codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
        assert codec.colorspace == 1, "players would have to guess the colours"
        assert float(stream.average_rate or 0) == 12.5
        assert stream.duration is not None
        assert stream.time_base is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(6 / 12.5)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "the index must stand in front"


def test_odd_sides_are_made_even(tmp_path):
    write_video(tmp_path / "a.mp4", flat_frames(33, 47), fps=10)
    assert decoded(tmp_path / "a.mp4").shape == (6, 34, 48, 3)


def test_a_gif_comes_back_as_it_was(tmp_path):
    frames = flat_frames(20, 30)
    write_video(tmp_path / "a.gif", frames, fps=12.5)
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (6, (30, 20), 0)  # type: ignore[attr-defined]
        for time, frame in enumerate(frames):
            gif.seek(time)
            assert gif.info["duration"] == 80
            assert np.abs(np.asarray(gif.convert("RGB")).astype(int) - frame).max() <= 4


def test_a_generator_of_frames_will_do(tmp_path):
    write_video(tmp_path / "a.mp4", (frame for frame in flat_frames(16, 16)), fps=25)
    assert len(decoded(tmp_path / "a.mp4")) == 6


@pytest.mark.parametrize("name", ["a.avi", "a", "a.mp4.txt"])
def test_another_ending_is_an_error_that_names_the_possible_ones(tmp_path, name):
    with pytest.raises(UserError, match=r"end in \.mp4 or \.gif"):
        write_video(tmp_path / name, flat_frames(16, 16), fps=25)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_frames_that_are_none(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(ValueError, match="at least one frame"):
        write_video(path, [], fps=25)
    with pytest.raises(ValueError, match="float64"):
        write_video(path, np.zeros((2, 16, 16, 3)), fps=25)
    with pytest.raises(ValueError, match="one size"):
        write_video(path, [np.zeros((16, 16, 3), np.uint8), np.zeros((16, 18, 3), np.uint8)], fps=25)
    with pytest.raises(ValueError, match="got 0"):
        write_video(path, flat_frames(16, 16), fps=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_a_video_that_breaks_off_leaves_the_old_one(tmp_path, name):
    def broken() -> Iterator[np.ndarray]:
        yield from flat_frames(16, 16)
        raise RuntimeError("no more")

    (tmp_path / name).write_bytes(b"old")
    with pytest.raises(RuntimeError, match="no more"):
        write_video(tmp_path / name, broken(), fps=25)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"old"
