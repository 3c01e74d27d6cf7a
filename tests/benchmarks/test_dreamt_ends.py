"""How often a dream ends beside the game: what is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from worldmodels.pipeline.work import open_run
from worldmodels.runs.pretrained import run_folder
from worldmodels.worlds.starts import Starts

Script = Callable[[str], Any]


@pytest.fixture
def ends(script: Script) -> Any:
    return script("dreamt_ends")


def nowhere(count: int) -> Starts:
    return Starts(*(torch.zeros(count, 1) for _ in range(4)), openings=0)


def test_ends_of_the_game_stand_where_they_came(ends: Any) -> None:
    """Three moments: an end 10 ticks on, one cut off 10 ticks on, and an end after everything that is looked at."""
    left = torch.tensor([10.0, 10.0, 1000.0])
    rates = ends.of_the_game(ends.Moments(nowhere(3), left, torch.tensor([True, False, True])))
    assert rates[0] == 0  # ticks 0 to 8: nobody ends
    # 8 to 16: two have two ticks left of it, the third all eight.
    assert rates[1] == pytest.approx(1 / (2 + 2 + 8))
    assert rates[2:] == [0] * 6


def test_a_steady_danger_is_found_at_every_distance(ends: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    left = torch.empty(200_000).geometric_(0.02, generator=generator)
    rates = ends.of_the_game(ends.Moments(nowhere(1), left, torch.ones_like(left, dtype=torch.bool)))
    assert rates[:6] == pytest.approx([0.02] * 6, rel=0.05)


def test_moments_of_real_games_and_dreams_from_them(ends: Any) -> None:
    work = open_run(run_folder("pretrained:take-cover"), "cpu")
    parts = work.best()
    moments, lived = ends.play(work, parts, range(90_000_000, 90_000_002))
    assert len(moments.left) == sum((int(ticks) - 1) // ends.EVERY for ticks in lived)
    assert moments.left.min() >= 1
    assert moments.left.max() == lived.max() - ends.EVERY
    rates = ends.of_dreams(work, parts, moments.starts, 1.15)
    assert all(0 < rate < 0.1 for rate in rates)
