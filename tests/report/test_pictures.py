"""Panes, rows and enlargements keep every pixel."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from worldmodels.report.pictures import (
    BACKGROUND,
    CAPTION_HEIGHT,
    GAP,
    Pane,
    in_rows,
    side_by_side,
    upscale,
    write_png,
)

RNG = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, size=shape, dtype=np.uint8)


def test_upscaling_makes_squares_and_nothing_new():
    frames = noise(2, 4, 5, 3)
    large = upscale(frames, 3)
    assert large.shape == (2, 12, 15, 3)
    for row in range(3):
        for column in range(3):
            np.testing.assert_array_equal(large[:, row::3, column::3], frames)
    with pytest.raises(ValueError, match="got 0"):
        upscale(frames, 0)


def test_panes_stand_side_by_side_and_wait_for_the_longest():
    left, right = noise(3, 8, 8, 3), noise(5, 8, 6, 3)
    shown = list(side_by_side([Pane("actual", left), Pane("dream", right)], 2))
    assert len(shown) == 5
    for time, picture in enumerate(shown):
        assert picture.shape == (CAPTION_HEIGHT + 16 + GAP, 3 * GAP + 16 + 12, 3)
        below = picture[CAPTION_HEIGHT : CAPTION_HEIGHT + 16]
        np.testing.assert_array_equal(below[:, GAP : GAP + 16], upscale(left[min(time, 2)], 2))
        np.testing.assert_array_equal(below[:, 2 * GAP + 16 : 2 * GAP + 28], upscale(right[time], 2))


def test_captions_are_written_and_may_change_with_time():
    black = np.zeros((3, 60, 200, 3), np.uint8)
    captions = [
        picture[:CAPTION_HEIGHT]
        for picture in side_by_side([Pane(["1 point", "2 points", "2 points"], black)], 1)
    ]
    assert (captions[0] != np.array(BACKGROUND, np.uint8)).any()
    assert (captions[0] != captions[1]).any()
    np.testing.assert_array_equal(captions[1], captions[2])


def test_rows_of_stills(tmp_path):
    upper, lower = noise(3, 8, 8, 3), noise(2, 8, 8, 3)
    picture = in_rows([("actual", upper), ("", lower)], 2)
    assert picture.shape == (3 * GAP + CAPTION_HEIGHT + 2 * 16, 4 * GAP + 3 * 16, 3)
    top = GAP + CAPTION_HEIGHT
    np.testing.assert_array_equal(picture[top : top + 16, GAP : GAP + 16], upscale(upper[0], 2))
    top += 16 + GAP
    np.testing.assert_array_equal(picture[top : top + 16, 2 * GAP + 16 : 2 * GAP + 32], upscale(lower[1], 2))
    write_png(tmp_path / "rows.png", picture)
    with Image.open(tmp_path / "rows.png") as back:
        np.testing.assert_array_equal(np.asarray(back), picture)
