"""How C steps in Take Cover: what is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from worldmodels.pipeline.work import open_run
from worldmodels.runs.pretrained import run_folder
from worldmodels.worlds.actual import ActualWorld

Script = Callable[[str], Any]


@pytest.fixture
def footwork(script: Script) -> Any:
    return script("footwork")


def test_each_tick_says_how_long_its_run_lasts(footwork: Any) -> None:
    assert footwork.runs(np.array([1, 1, 1, -1, 0, 0])).tolist() == [3, 3, 3, 1, 2, 2]
    assert footwork.runs(np.array([0.0])).tolist() == [1]


def test_steps_lead_where_the_planner_says(footwork: Any, script: Script) -> None:
    dodging = script("dodging")
    ways = np.array([[1] * 25 + [-1] * 35])
    expected = dodging.paths(footwork.START, ways)[0]
    frozen = np.ones(footwork.FROZEN)  # steps that nobody makes
    np.testing.assert_allclose(footwork.places(np.append(frozen, -ways[0]))[footwork.FROZEN :], expected)


def test_the_same_agent_steps_in_game_and_dream(footwork: Any) -> None:
    work = open_run(run_folder("pretrained:take-cover"), "cpu")
    parts = work.best()
    with work.pool() as pool:
        game = footwork.sides(parts, ActualWorld(work.senses(parts), pool, 40), range(3))
    dreamt = footwork.sides(parts, footwork.dream(work, parts, 40), range(3))
    for episodes in (game, dreamt):
        assert len(episodes) == 3
        for side in episodes:
            assert 1 <= len(side) <= 40
            assert set(side) <= {-1.0, 0.0, 1.0}
    assert footwork.row("game", game).startswith("| game | ")
