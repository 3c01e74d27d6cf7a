"""Where CarRacing's points go: `python benchmarks/missed_tiles.py pretrained:car-racing-dream --episodes 40`.

Plays whole episodes in stock Gymnasium with the agent of a run, and prints of each the score, the steps, the step at
which the last tile was touched and how many tiles were not. A lap pays 1,000 points for its tiles and costs 0.1 a step;
it is over when every tile has been touched, else the car drives on to step 1,000. In the end: points lost on tiles, by
the length of the stretch that was missed, and on time; and where the car passed those stretches.
"""

from __future__ import annotations

import argparse
import os
from itertools import groupby, pairwise

import gymnasium
import numpy as np
from sentences import in_a_sentence, run_of

import worldmodels
from worldmodels.evaluation.score import mean_and_error
from worldmodels.pipeline.temperature import refuse_less_than_one

LENGTHS = (1, 3, 6, 10, 20, 10_000)  # tiles of a stretch, bounds of what is printed
HALF_A_ROAD = 20 / 3  # the game's lengths
PASSED = 20.0  # lengths from the middle of the road; further away the car did not pass, but was lost
AROUND = 4  # tiles before and after a place that say how the road bends there


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="run folder of CarRacing, or pretrained:NAME")
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=5000, help="of the first episode")
    options = parser.parse_args()
    refuse_less_than_one(episodes=options.episodes)
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    work = run_of(options.run, "car-racing", "cpu")
    agent = work.agent(work.best())
    scores, lost, time, offsets = [], np.zeros(len(LENGTHS) - 1), [], []
    for seed in range(options.seed, options.seed + options.episodes):
        score, steps, touched, track, way = lap(agent, seed)
        worth = 1000 / len(touched)  # points a tile
        for first, length in stretches(touched < 0):
            lost[np.searchsorted(LENGTHS, length, side="right") - 1] += length * worth
            if abs(offset := passed(track, way, first + length // 2)) < PASSED:
                offsets.append(offset)
        scores.append(score)
        time.append(0.1 * steps)
        missed = int((touched < 0).sum())
        print(
            f"seed {seed}: {score:6.1f} points, {steps:4d} steps, last new tile at {touched.max():4d}, "
            f"{missed:3d} of {len(touched)} tiles missed",
            flush=True,
        )
    score, count = mean_and_error(np.array(scores)), len(scores)
    print(
        f"\n{score['mean']:.0f} ± {score['standard_error']:.0f} (standard error), {count} episodes. "
        "Points lost in an episode:"
    )
    for (first, after), points in zip(pairwise(LENGTHS), lost, strict=True):
        stretch = f"{first} to {after - 1}" if after < LENGTHS[-1] else f"{first} and more"
        print(f"  tiles, in stretches of {stretch:<12} {points / count:6.1f}")
    print(f"  time, 0.1 a step                    {np.mean(time):6.1f}")
    if offsets:
        share = np.mean([offset > HALF_A_ROAD for offset in offsets])
        print(
            f"\n{len(offsets)} stretches were missed in passing, {share:.0%} of them off the inside of a bend. Median: "
            f"{np.median(offsets):.1f} lengths from the middle of the road, of which {HALF_A_ROAD:.1f} are road"
        )


def lap(agent: worldmodels.Agent, seed: int) -> tuple[float, int, np.ndarray, np.ndarray, np.ndarray]:
    """Score, steps, the step at which each tile was first touched (tiles,), -1 for never; track and way of the car.

    Of the track (tiles, 3): direction, x and y of each tile; of the way (steps, 2): x and y.
    """
    env = gymnasium.make("CarRacing-v3")
    frame, _ = env.reset(seed=seed)
    agent.reset(num_envs=1)
    road = env.unwrapped.road  # type: ignore[attr-defined]
    touched, score, steps, over, way = np.full(len(road), -1), 0.0, 0, False, []
    while not over:
        frame, reward, terminated, truncated, _ = env.step(agent.act(frame[None])[0])
        score, steps, over = score + float(reward), steps + 1, terminated or truncated
        visited = np.array([tile.road_visited for tile in road])
        touched[visited & (touched < 0)] = steps
        way.append(np.array(env.unwrapped.car.hull.position))  # type: ignore[attr-defined]
    track = np.array(env.unwrapped.track)[:, 1:]  # type: ignore[attr-defined]
    env.close()
    return score, steps, touched, track, np.array(way)


def stretches(missed: np.ndarray) -> list[tuple[int, int]]:
    """First tile and length of each run of missed tiles, (tiles,) bool."""
    runs = [
        list(run) for wanted, run in groupby(range(len(missed)), key=missed.tolist().__getitem__) if wanted
    ]
    return [(run[0], len(run)) for run in runs]


def passed(track: np.ndarray, way: np.ndarray, tile: int) -> float:
    """How far from the middle of the road the car passed a tile: above 0 on the inside of the bend there."""
    before, after = track[tile - AROUND, 0], track[(tile + AROUND) % len(track), 0]
    to_the_left = np.sin(after - before) > 0
    away = way - track[tile, 1:]
    nearest = away[np.hypot(*away.T).argmin()]
    on_the_left = -nearest @ [np.cos(track[tile, 0]), np.sin(track[tile, 0])]
    return float(on_the_left if to_the_left else -on_the_left)


if __name__ == "__main__":
    in_a_sentence(main)
