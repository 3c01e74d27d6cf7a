"""Is a dream of Take Cover a fair game? What policies that look at nothing survive, in the game and in the dream.

    python benchmarks/blind_play.py pretrained:take-cover

Plays the same policies in the actual game and in the dream of the chosen round's M, at the run's own temperature or at
--temperature: one side for good, not at all, and from side to side. Where the dream lasts much longer than the game, C
will find out. Mean ± standard deviation of the steps survived.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import torch
from sentences import in_a_sentence
from tics import batches, run_of_tics

from worldmodels.evaluation.score import mean_and_error
from worldmodels.pipeline.temperature import checked_temperature, refuse_less_than_one
from worldmodels.pipeline.work import Work
from worldmodels.worlds.dream_tick import DreamConfig

POLICIES = {
    "right": (1.0, 0),
    "left": (-1.0, 0),
    "stay": (0.0, 0),
    "20 and back": (1.0, 20),
    "60 and back": (1.0, 60),
}


def action(policy: str, tick: int, games: int) -> np.ndarray:
    """(B, 1) float32: a side, which is changed every so many ticks (0: never)."""
    side, period = POLICIES[policy]
    turned = period and tick // period % 2
    return np.full((games, 1), -side if turned else side, np.float32)


def in_the_game(work: Work, policy: str, seeds: range) -> np.ndarray:
    """Steps survived (B,)."""
    survived = []
    with work.pool("gymnasium") as pool:
        for those in batches(seeds):
            pool.reset(those)
            for tick in range(work.ticks):
                step = pool.step(action(policy, tick, len(those)))
                if np.all(step.terminated | step.truncated):
                    break
            survived.append(pool.steps_taken)
    return np.concatenate(survived)


@torch.no_grad()
def in_the_dream(work: Work, policy: str, seeds: range, config: DreamConfig) -> np.ndarray:
    """Ticks survived (B,)."""
    parts = work.best()
    world = work.dream(parts.round, parts.memory, parts.config.features, config)
    world.reset(seeds)
    survived = torch.zeros(len(seeds))
    for tick in range(config.horizon):
        step = world.step(torch.from_numpy(action(policy, tick, len(seeds))).to(work.device))
        survived += step.reward.cpu()
        if tick % 16 == 15 and bool((step.terminated | step.truncated).all()):
            break
    return survived.numpy()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="a run folder of take-cover, or pretrained:NAME")
    parser.add_argument("--episodes", type=int, default=32, help="of the game, for each policy")
    parser.add_argument("--dreams", type=int, default=64, help="for each policy")
    parser.add_argument("--temperature", type=float, help="of the dream (default: the run's)")
    parser.add_argument("--seed", type=int, default=1000, help="of the first episode")
    asked = parser.parse_args()
    refuse_less_than_one(episodes=asked.episodes, dreams=asked.dreams)
    if asked.temperature is not None:
        checked_temperature(asked.temperature)
    work = run_of_tics(asked.run)
    config = work.experiment.dream
    config = replace(config, temperature=asked.temperature or work.temperature(work.best().round))
    print(f"{asked.episodes} episodes and {asked.dreams} dreams at temperature {config.temperature:g}")
    print("| policy | game | dream |\n|---|---|---|")
    for policy in POLICIES:
        episodes, dreams = (range(asked.seed, asked.seed + count) for count in (asked.episodes, asked.dreams))
        game = mean_and_error(in_the_game(work, policy, episodes))
        dream = mean_and_error(in_the_dream(work, policy, dreams, config))
        print(
            f"| {policy} | {game['mean']:.0f} ± {game['std']:.0f} | {dream['mean']:.0f} ± {dream['std']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    in_a_sentence(main)
