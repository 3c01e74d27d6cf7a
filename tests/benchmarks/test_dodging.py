"""The yardsticks of Take Cover: how the planner steps, what it knows, and how long it lasts in the game itself."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

Script = Callable[[str], Any]


@pytest.fixture
def dodging(script: Script) -> Any:
    return script("dodging")


def fireball(name: int, x: float, y: float) -> SimpleNamespace:
    return SimpleNamespace(
        id=name, name="DoomImpBall", position_x=x, position_y=y, velocity_x=-10.0, velocity_y=0.0
    )


def test_the_player_of_the_game_goes_where_the_planner_thinks(dodging: Any, tmp_path: Path) -> None:
    ways = np.array([[1] * 20 + [-1] * 40])
    been: list[Any] = []
    with dodging.the_game(tmp_path) as game:
        game.set_seed(3)
        game.new_episode()
        for way in [0] * 10 + ways[0, :40].tolist():  # the game lets nobody move in its first tics
            (body,) = (thing for thing in game.get_state().objects if thing.name == "DoomPlayer")
            been.append(dodging.Player(body.position_x, body.position_y, body.velocity_y))
            game.make_action(dodging.BUTTONS[way])
    expected = dodging.paths(been[10], ways)[0, :39]
    np.testing.assert_allclose([player.y for player in been[11:]], expected, atol=0.01)


def test_walls_hold_the_player(dodging: Any) -> None:
    led = dodging.paths(dodging.Player(-416.0, 700.0, 7.0), np.array([[1] * 60]))
    assert led[0, -1] == 752.0
    assert (np.diff(led[0]) >= 0).all()


@pytest.mark.parametrize("y", [390.0, 378.0])
def test_it_steps_out_of_the_way_on_the_nearer_side(dodging: Any, y: float) -> None:
    player, ways, last = dodging.Player(-416.0, 384.0, 0.0), dodging.plans(), 0
    for x in range(-300, -450, -10):
        flight = dodging.Flight(*(np.array([value]) for value in (float(x), y, -10.0, 0.0)))
        assert abs(x - player.x) >= dodging.WIDTH or abs(y - player.y) >= dodging.WIDTH
        last = dodging.best_way(player, flight, ways, last, homesick=0.0)
        speed = (player.dy + dodging.THRUST * last) * dodging.FRICTION
        player = player._replace(y=player.y + speed / dodging.FRICTION, dy=speed)
    assert (player.y > 384.0) == (y < 384.0)


def test_one_stays_in_the_middle_and_the_other_goes_far(dodging: Any) -> None:
    nothing = dodging.Flight(*(np.zeros(0) for _ in range(4)))
    player, ways = dodging.Player(-416.0, dodging.MIDDLE, 0.0), dodging.plans()
    assert dodging.best_way(player, nothing, ways, 0, dodging.HOMESICK) == 0
    assert dodging.best_way(player, nothing, ways, 1, homesick=0.0) == 1


@pytest.mark.parametrize(("remembers", "known"), [(0, [1]), (5, [1, 2]), (3, [1]), (math.inf, [1, 2, 3])])
def test_it_knows_what_is_or_was_in_the_picture(dodging: Any, remembers: float, known: list[int]) -> None:
    """At tic 10 the first is in sight; the second was until tic 6; the third never."""
    player, knows = dodging.Player(-416.0, 384.0, 0.0), dodging.Known(remembers)
    knows.of([fireball(2, -300.0, 450.0), fireball(3, -300.0, 700.0)], player, 6)
    things = [fireball(1, 0.0, 384.0), fireball(2, -400.0, 450.0), fireball(3, -300.0, 700.0)]
    flight = knows.of(things, player, 10)
    assert flight.x.tolist() == [things[name - 1].position_x for name in known]


def test_who_knows_all_fireballs_outlives_who_looks_at_nothing(dodging: Any, tmp_path: Path) -> None:
    with dodging.the_game(tmp_path) as game:
        blind = [dodging.survived(game, seed, dodging.blind(20)) for seed in range(2)]
        knowing = dodging.survived(game, 0, dodging.planner(math.inf))
    assert max(blind) < knowing
    assert knowing > 1000


def test_no_engine_plays_on_when_it_is_killed(dodging: Any) -> None:
    command = [sys.executable, dodging.__file__, "--blind-episodes", "1000"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:

        def engines() -> list[psutil.Process]:
            return [p for p in psutil.Process(program.pid).children(recursive=True) if p.name() == "vizdoom"]

        wait_until(lambda: len(engines()) == 1)
        (engine,) = engines()
        folder = Path(engine.cwd())
        program.kill()
    wait_until(lambda: not engine.is_running() and not folder.exists())


def wait_until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
