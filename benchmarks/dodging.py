"""What can be survived in Take Cover, by whoever knows where the fireballs are? `python benchmarks/dodging.py`

Not agents: yardsticks, which read the game's own list of things instead of the picture. At every tic the planner tries
81 ways of stepping in the next 60 tics and takes the one that meets the fewest fireballs. It is told

    all         all fireballs that fly
    remembered  those that are in the picture, or were until so many tics ago (--remembers)
    in sight    those that are in the picture now

Those that "stay in the middle" rather step towards the middle of the room, from where they see all monsters; the others
rather go on, and far. Beside them there is one who looks at nothing:

    blind       runs from side to side and turns every so many tics (--periods)

Prints the mean of the tics survived, its standard error, and how many episodes lasted to the end.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import vizdoom
from sentences import in_a_sentence

from worldmodels.envs.sweeper import start_sweeper
from worldmodels.envs.take_cover import TAKE_COVER
from worldmodels.pipeline.temperature import refuse_less_than_one
from worldmodels.runs.progress import progress

AHEAD = 60  # tics that are planned: a fireball crosses the room in 48
TURNS = (1, 2, 3, 4, 6, 8, 11, 15, 20, 26, 33, 41, 50)  # tics after which a plan does something else
THRUST = 0.75  # units a tic that a step to the side adds to the player's speed, by the engine
FRICTION = 0.90625  # what of that speed is left after a tic
WALLS = (16.0, 752.0)  # where the player's middle can be
MIDDLE = 384.0
HOMESICK = (
    0.01  # what a unit of distance from the middle costs at a plan's end; to meet a fireball costs 10 or more
)
MEETS = 9  # tics at most for which a fireball is beside the player: it flies by ten units a tic, or some seven aslant
WIDTH = 23.0  # half of the player's and half of a fireball's, and one unit
LEFT, STAY, RIGHT = [True, False], [False, False], [False, True]  # the buttons
BUTTONS = {-1: RIGHT, 0: STAY, 1: LEFT}  # by the direction on the room's axis: left is up


class Flight(NamedTuple):
    """Fireballs on their way to the player: place and speed, each (F,)."""

    x: np.ndarray
    y: np.ndarray
    dx: np.ndarray
    dy: np.ndarray


class Player(NamedTuple):
    """Where the player is; `dy` is its speed."""

    x: float
    y: float
    dy: float


def plans() -> np.ndarray:
    """Ways of stepping, (P, AHEAD): one direction of three for good, or another after some tics."""
    ways = [[way] * AHEAD for way in (-1, 0, 1)]
    pairs = [(first, then) for first in (-1, 0, 1) for then in (-1, 0, 1) if first != then]
    ways += [[first] * turn + [then] * (AHEAD - turn) for first, then in pairs for turn in TURNS]
    return np.array(ways)


def paths(player: Player, ways: np.ndarray) -> np.ndarray:
    """Where ways of stepping (P, T) lead the player, tic by tic: (P, T)."""
    y, speed = np.full(len(ways), player.y), np.full(len(ways), player.dy)
    led = np.empty(ways.shape)
    for tic in range(ways.shape[1]):
        speed = speed + THRUST * ways[:, tic]
        y = y + speed
        speed = np.where((y < WALLS[0]) | (y > WALLS[1]), 0.0, speed) * FRICTION
        y = y.clip(*WALLS)
        led[:, tic] = y
    return led


def distances(led: np.ndarray, player: Player, flight: Flight) -> tuple[np.ndarray, np.ndarray]:
    """How near fireballs come on the ways (P, AHEAD) that `paths` gave.

    Returns:
        (P, F, MEETS), the distances to the side in the tics in which a fireball is as far as the player, inf in others;
        and (F, MEETS), which of the AHEAD tics these are.
    """
    # A fireball is as far as the player for a few tics only, those from the one at which it comes near.
    near = np.ceil((flight.x - player.x - WIDTH) / -flight.dx).clip(min=1)[:, None] + np.arange(MEETS)
    here = (abs(flight.x[:, None] + flight.dx[:, None] * near - player.x) < WIDTH) & (near <= AHEAD)
    at = near.clip(max=AHEAD).astype(int) - 1
    away = abs(led[:, at] - (flight.y[:, None] + flight.dy[:, None] * near))
    return np.where(here, away, math.inf), at


def soonest(away: np.ndarray, at: np.ndarray) -> np.ndarray:
    """After how many tics each way meets a fireball, AHEAD where none: (P,); arguments as `distances` gives them."""
    return np.where(away < WIDTH, at, AHEAD).min(axis=(1, 2), initial=AHEAD)


def best_way(player: Player, flight: Flight, ways: np.ndarray, last: int, homesick: float) -> int:
    """The first step of the plan that meets the fewest fireballs, and then keeps away from them."""
    led = paths(player, ways)
    cost = 0.3 * (ways[:, 0] != last)  # rather go on
    if homesick:
        cost = cost + homesick * abs(led[:, -1] - MIDDLE)
    else:
        cost = cost - 0.002 * abs(led[:, -1] - player.y)
    if len(flight.x):
        away, at = distances(led, player, flight)
        met = (away < WIDTH).any(axis=2).sum(axis=1)
        cost = cost + met * 10.0 * (2 - soonest(away, at) / AHEAD)
        cost = cost + np.exp((WIDTH - away.min(axis=2).clip(min=WIDTH)) / 8).sum(axis=1)
    return int(ways[cost.argmin(), 0])


class Known:
    """Which fireballs the planner is told of: those in the picture within the last `remembers` tics (0: now)."""

    def __init__(self, remembers: float) -> None:
        self.remembers = remembers
        self._seen: dict[int, int] = {}  # by a fireball's name, the tic at which it was last in the picture

    def of(self, things: list[Any], player: Player, tic: int) -> Flight:
        """The fireballs of this tic that it knows of."""
        balls = [thing for thing in things if "Ball" in thing.name and thing.velocity_x < 0]
        for ball in balls:
            away, aside = abs(ball.position_x - player.x), abs(ball.position_y - player.y)
            if aside <= away:  # the view is 90 degrees wide
                self._seen[ball.id] = tic
        known = [ball for ball in balls if tic - self._seen.get(ball.id, -math.inf) <= self.remembers]
        if self.remembers == math.inf:
            known = balls
        names = ("position_x", "position_y", "velocity_x", "velocity_y")
        return Flight(*(np.array([getattr(ball, name) for ball in known]) for name in names))


@contextlib.contextmanager
def the_game(folder: Path, shown: bool = False) -> Iterator[vizdoom.DoomGame]:
    """Take Cover as Gymnasium's is set up, with its list of things, and without its picture unless that is `shown`.

    The engine writes into the folder it runs in, and outlives who is killed: see `in_a_group_of_its_own`.
    """
    game = vizdoom.DoomGame()
    game.load_config(str(Path(vizdoom.scenarios_path) / "take_cover.cfg"))
    game.set_window_visible(False)
    game.set_objects_info_enabled(True)
    if shown:
        game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    else:
        game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
    game.set_episode_timeout(TAKE_COVER.max_steps)
    here = Path.cwd()
    os.chdir(folder)
    try:
        game.init()
        yield game
    finally:
        game.close()
        os.chdir(here)


def moments(game: vizdoom.DoomGame, seed: int) -> Iterator[tuple[Any, Player]]:
    """An episode, tic by tic: its state and the player's; whoever asks acts before the next."""
    game.set_seed(seed)
    game.new_episode()
    while not game.is_episode_finished() and (state := game.get_state()) is not None:
        (body,) = (thing for thing in state.objects if thing.name == "DoomPlayer")
        yield state, Player(body.position_x, body.position_y, body.velocity_y)


def picture(state: Any) -> np.ndarray:
    """What V sees of a state, (1, 64, 64, 3) uint8; of a game that is `shown`."""
    return TAKE_COVER.observe(np.ascontiguousarray(state.screen_buffer)[None])


def survived(game: vizdoom.DoomGame, seed: int, way: Callable[[list[Any], Player, int], int]) -> int:
    """Tics of an episode in which `way` says at each tic where to step."""
    tics = 0
    for state, player in moments(game, seed):
        game.make_action(BUTTONS[way(state.objects, player, tics)])
        tics += 1
    return tics


def planner(remembers: float, homesick: float = 0.0) -> Callable[[list[Any], Player, int], int]:
    """One who plans, for one episode."""
    known, ways, last = Known(remembers), plans(), 0

    def way(things: list[Any], player: Player, tic: int) -> int:
        nonlocal last
        last = best_way(player, known.of(things, player, tic), ways, last, homesick)
        return last

    return way


def blind(period: int) -> Callable[[list[Any], Player, int], int]:
    """One who looks at nothing: half a period to one side, a whole one to the other, and so on."""
    return lambda things, player, tic: 1 if (tic + period // 2) // period % 2 else -1


def in_a_group_of_its_own(script: str = __file__) -> int:
    """Play in another process; however this one ends, that one and its engine end with it. Returns how it ended."""
    folder = Path(tempfile.mkdtemp(prefix="worldmodels-"))
    command = [sys.executable, script, *sys.argv[1:], "--folder", str(folder)]
    ends, held = os.pipe()  # this process alone holds `held`
    player = subprocess.Popen(command, start_new_session=True)
    sweeper = start_sweeper(player.pid, folder, ends)
    os.close(ends)
    try:
        return player.wait()
    finally:
        os.close(held)
        sweeper.wait()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--episodes", type=int, default=16, help="of each who plans")
    parser.add_argument("--blind-episodes", type=int, default=100, help="of each who looks at nothing")
    parser.add_argument("--remembers", type=int, nargs="*", default=[5, 10, 20, 60, 2100], help="tics")
    parser.add_argument("--periods", type=int, nargs="*", default=[60, 90, 120, 150], help="tics")
    parser.add_argument("--seed", type=int, default=9000, help="of the first episode")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    refuse_less_than_one(
        episodes=asked.episodes, blind_episodes=asked.blind_episodes, periods=min(asked.periods, default=1)
    )
    if asked.folder is None:
        sys.exit(in_a_group_of_its_own())
    rows: list[tuple[str, Callable[[], Callable[[list[Any], Player, int], int]], int]] = []
    rows += [(f"blind, {p} tics", lambda p=p: blind(p), asked.blind_episodes) for p in asked.periods]
    for where, home in (("", 0.0), (", stays in the middle", HOMESICK)):
        rows += [("in sight" + where, lambda h=home: planner(0, h), asked.episodes)]
        rows += [
            (f"remembered, {r} tics" + where, lambda r=r, h=home: planner(r, h), asked.episodes)
            for r in asked.remembers
        ]
        rows += [("all" + where, lambda h=home: planner(math.inf, h), asked.episodes)]
    print(f"seeds from {asked.seed} on\n| known | tics survived | episodes | to the end |\n|---|---|---|---|")
    with the_game(asked.folder) as game:
        for name, who, episodes in rows:
            tics = []
            with progress(name, episodes, "episodes") as bar:
                for episode in range(episodes):
                    tics.append(survived(game, asked.seed + episode, who()))
                    bar.advance(mean=float(np.mean(tics)))
            error = f" ± {np.std(tics, ddof=1) / len(tics) ** 0.5:.0f}" if len(tics) > 1 else ""
            whole = sum(t >= TAKE_COVER.max_steps for t in tics)
            print(f"| {name} | {np.mean(tics):.0f}{error} | {episodes} | {whole} |", flush=True)


if __name__ == "__main__":
    in_a_sentence(main)
