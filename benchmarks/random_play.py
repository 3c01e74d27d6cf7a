"""What acting at random is worth: `python benchmarks/random_play.py take-cover --episodes 100 --seed 1`.

Plays whole episodes of the actual game in Gymnasium, blind to the frames, and prints mean, standard deviation and
standard error of the scores for two policies:

- uniform: every action drawn evenly from its range, at each step anew;
- held: likewise, but each action is held for exactly `--hold` steps.

An episode is a function of its seed; those of `--seed` are seed, seed + 1, ... and both policies play the same ones.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
from sentences import in_a_sentence

from worldmodels.envs.game import GameSpec, game
from worldmodels.envs.pool import EpisodePool, open_pool
from worldmodels.evaluation.score import mean_and_error
from worldmodels.pipeline.temperature import refuse_less_than_one
from worldmodels.runs.seeds import numpy_stream


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("game", help="car-racing, take-cover or toy")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the first episode")
    parser.add_argument(
        "--hold", type=int, default=10, help="steps for which the second policy holds an action"
    )
    parser.add_argument("--batch", type=int, default=25, help="episodes played at once")
    options = parser.parse_args()
    refuse_less_than_one(episodes=options.episodes, hold=options.hold, batch=options.batch)
    spec = game(options.game)
    seeds = range(options.seed, options.seed + options.episodes)
    print(
        f"{spec.name}, seeds {seeds[0]} to {seeds[-1]}: mean ± standard deviation ± standard error, episodes"
    )
    with open_pool(spec, "auto" if spec.gym_id is None else "gymnasium") as pool:
        for hold in (1, options.hold):
            began = time.perf_counter()
            batches = [seeds[first : first + options.batch] for first in range(0, len(seeds), options.batch)]
            scores = np.concatenate([play(pool, batch, hold) for batch in batches])  # (N,)
            score = mean_and_error(scores)
            name = "uniform" if hold == 1 else f"held for {hold}"
            print(
                f"{name:<12} {score['mean']:8.1f} ± {score['std']:6.1f} ± {score['standard_error']:5.1f}   "
                f"{len(scores)} (smallest {scores.min():.1f}, largest {scores.max():.1f}; "
                f"{time.perf_counter() - began:.0f} s)"
            )


def play(pool: EpisodePool, seeds: Sequence[int], hold: int) -> np.ndarray:
    """Scores (B,) of one whole episode per seed."""
    pool.reset(seeds)
    streams = [numpy_stream(seed, "random-play") for seed in seeds]
    scores, running, step = np.zeros(len(seeds)), True, 0
    actions = np.zeros((len(seeds), pool.spec.action_size), np.float32)
    while running:
        if step % hold == 0:
            actions = drawn(pool.spec, streams)
        turn = pool.step(actions)
        scores += turn.rewards
        running, step = not np.all(turn.terminated | turn.truncated), step + 1
    return scores


def drawn(spec: GameSpec, streams: Sequence[np.random.Generator]) -> np.ndarray:
    """Uniform actions (B, A) float32, one from each stream."""
    return np.stack([s.uniform(spec.action_low, spec.action_high) for s in streams]).astype(np.float32)


if __name__ == "__main__":
    in_a_sentence(main)
