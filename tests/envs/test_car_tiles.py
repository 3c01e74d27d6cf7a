"""Tiles of CarRacing's road that are left behind untouched: what is counted on the way is missing in the end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.envs.car_painter import PaintedGame
from worldmodels.envs.car_tiles import MOST, WAIT, LeftBehind
from worldmodels.envs.game import game
from worldmodels.envs.pool import open_pool

TILES = 60


class Road:
    """Tiles in a row, and a car with one wheel."""

    def __init__(self) -> None:
        self.road = [SimpleNamespace(idx=tile, road_visited=False) for tile in range(TILES)]
        self.wheel: Any = SimpleNamespace(tiles=set())
        self.car = SimpleNamespace(wheels=[self.wheel])
        self.wheel.tiles = []
        self.go(0)

    def go(self, *tiles: int) -> None:
        self.wheel.tiles = [self.road[tile] for tile in tiles]
        for tile in tiles:
            self.road[tile].road_visited = True


@given(st.lists(st.booleans(), min_size=TILES, max_size=TILES))
def test_what_was_counted_is_what_is_missing(touches: list[bool]):
    """Up to the last few tiles, which nothing has left behind yet."""
    world = Road()
    left_behind, counted = LeftBehind(world), 0
    last = 0
    for tile, touch in enumerate(touches):
        if touch and tile - last <= MOST:  # a longer stretch is not counted whole
            world.go(tile)
            last = tile
        counted += left_behind.count()
    assert counted == sum(not tile.road_visited for tile in world.road[: max(0, last - WAIT)])


def test_none_is_counted_twice_and_a_second_lap_counts_nothing():
    world = Road()
    left_behind = LeftBehind(world)
    told = []
    for tile in [0, 1, 2, 6, 8, 10, *range(11, TILES), 0, 1, 2, 3, 7, 8, 9, 10, 11]:
        world.go(tile)
        told.append(left_behind.count())
    # 3, 4 and 5 before 6, 7 before 8, 9 before 10, each when the car is WAIT tiles further
    assert sum(told) == 5
    assert told[:6] == [0, 0, 0, 0, 2, 1]


def test_standing_reversing_and_the_grass_miss_nothing():
    world = Road()
    left_behind = LeftBehind(world)
    for tile in range(10):
        world.go(tile)
        assert left_behind.count() == 0
    for tiles in ((), (9,), (9,), (8,), (7,), (), (8,), (9, 10)):
        world.go(*tiles)
        assert left_behind.count() == 0


def test_backwards_over_the_start_is_not_ahead():
    world = Road()
    left_behind = LeftBehind(world)
    for tile in (0, TILES - 1, TILES - 2):
        world.go(tile)
        assert left_behind.count() == 0


def test_who_comes_back_far_ahead_has_not_passed_what_lies_between():
    world = Road()
    left_behind = LeftBehind(world)
    world.go(25)
    assert left_behind.count() == MOST
    world.go(26)
    assert left_behind.count() == 1, "tile 22"


def weaving(step: int) -> list[float]:
    """Off the road at the first swing, past six or seven tiles, and back onto it."""
    tick = step // 4
    return [0.25 * np.sin(tick / 3), 0.5 if tick < 10 else 0.1, 0.0]


@pytest.mark.parametrize("backend", ["sketch", "gymnasium"])
def test_a_pool_tells_of_each_game(backend: str):
    """One car weaves, and one waits. An action is held for four steps, which are counted together."""
    with open_pool(game("car-racing"), backend, action_repeat=4, workers=1) as pool:
        assert pool.counts_missed
        pool.reset([1, 2])
        told = [
            pool.step(np.array([weaving(step), [0, 0, 1]], np.float32)).missed for step in range(0, 240, 4)
        ]
    assert np.sum(told, axis=0).tolist() == [7, 0]


def test_what_was_counted_in_the_game_is_what_is_missing_in_it():
    painted = PaintedGame(gymnasium.make("CarRacing-v3", disable_env_checker=True))
    for seed in (1, 2):
        painted.reset(seed)
        counted = painted.missed
        for step in range(240):
            painted.step(np.array(weaving(step), np.float32), look=False)
            counted += painted.missed
        road = painted._car_racing.road
        front = max(tile.idx for tile in road[: len(road) // 2] if tile.road_visited)
        assert counted == sum(not tile.road_visited for tile in road[: front - WAIT]) > 0
    painted.close()


def test_envpool_counts_none():
    pytest.importorskip("envpool")
    with open_pool(game("car-racing"), "envpool") as pool:
        assert not pool.counts_missed
