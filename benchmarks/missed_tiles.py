"""Where CarRacing's points go: `python benchmarks/missed_tiles.py pretrained:car-racing-dream --episodes 40`.

Plays whole episodes in stock Gymnasium with the agent of a run, and prints of each the score, the steps, the step at
which the last tile was touched and how many tiles were not. A lap pays 1,000 points for its tiles and costs 0.1 a step;
it is over when every tile has been touched, else the car drives on to step 1,000. In the end: points lost on tiles, by
the length of the stretch that was missed, and on time.
"""

from __future__ import annotations

import argparse
import os
from itertools import groupby, pairwise

import gymnasium
import numpy as np

import worldmodels
from worldmodels.pipeline.work import mean_and_error

LENGTHS = (1, 3, 6, 10, 20, 10_000)  # tiles of a stretch, bounds of what is printed


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="run folder of CarRacing, or pretrained:NAME")
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=5000, help="of the first episode")
    options = parser.parse_args()
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    agent = worldmodels.load_agent(options.run, "cpu")
    if agent.spec.name != "car-racing":
        parser.error(f"{options.run} plays {agent.spec.name}; give a run of car-racing")
    scores, lost, time = [], np.zeros(len(LENGTHS) - 1), []
    for seed in range(options.seed, options.seed + options.episodes):
        score, steps, touched = lap(agent, seed)
        worth = 1000 / len(touched)  # points a tile
        for length in stretches(touched < 0):
            lost[np.searchsorted(LENGTHS, length, side="right") - 1] += length * worth
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


def lap(agent: worldmodels.Agent, seed: int) -> tuple[float, int, np.ndarray]:
    """Score, steps, and the step at which each tile was first touched (tiles,), -1 for never."""
    env = gymnasium.make("CarRacing-v3")
    frame, _ = env.reset(seed=seed)
    agent.reset(num_envs=1)
    road = env.unwrapped.road  # type: ignore[attr-defined]
    touched, score, steps, over = np.full(len(road), -1), 0.0, 0, False
    while not over:
        frame, reward, terminated, truncated, _ = env.step(agent.act(frame[None])[0])
        score, steps, over = score + float(reward), steps + 1, terminated or truncated
        visited = np.array([tile.road_visited for tile in road])
        touched[visited & (touched < 0)] = steps
    env.close()
    return score, steps, touched


def stretches(missed: np.ndarray) -> list[int]:
    """Lengths of the runs of missed tiles, (tiles,) bool."""
    return [len(list(run)) for wanted, run in groupby(missed.tolist()) if wanted]


if __name__ == "__main__":
    main()
