"""How does C step in Take Cover, in the game and in its dream? `python benchmarks/footwork.py pretrained:take-cover`

Does it dodge, or does it run from wall to wall as one who looks at nothing would? Printed for both worlds: ticks
survived, how often it steps to the left, stays and steps to the right, how long the run lasts in which a tick lies (the
median over ticks), and between which places it is for nine tenths of the time: the room goes from 16 to 752.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from dodging import Player, paths
from sentences import in_a_sentence
from tics import batches, run_of_tics
from unmet_ends import latest_round

from worldmodels.controller.linear import act
from worldmodels.envs.take_cover import LEFT, RIGHT, TAKE_COVER
from worldmodels.evaluation.score import mean_and_error
from worldmodels.experiments import at_round
from worldmodels.pipeline.temperature import refuse_less_than_one
from worldmodels.pipeline.work import Parts, Work
from worldmodels.worlds.actual import ActualWorld
from worldmodels.worlds.state import World

START = Player(-416.0, 384.0, 0.0)  # in the middle of the room
FROZEN = 8  # tics at its beginning in which nobody moves


def main() -> None:
    """Play, dream and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="a run folder of take-cover, or pretrained:NAME")
    parser.add_argument("--controller", type=Path, help="another C, as searches.py makes them")
    parser.add_argument("--round", type=int, help="whose M it is of (default: the last one with an M)")
    parser.add_argument("--episodes", type=int, default=32, help="in each world")
    parser.add_argument("--seed", type=int, default=70_000_000, help="of the first episode")
    asked = parser.parse_args()
    refuse_less_than_one(episodes=asked.episodes)
    work = run_of_tics(asked.run)
    round = latest_round(work) if asked.round is None else asked.round
    parts = work.best() if asked.controller is None else work.parts(round, asked.controller)
    seeds = range(asked.seed, asked.seed + asked.episodes)
    print("| world | ticks | left, stay, right | a run lasts | places |\n|---|---|---|---|---|")
    with work.pool() as pool:
        print(row("game", sides(parts, ActualWorld(work.senses(parts), pool, work.ticks), seeds)), flush=True)
    horizon = at_round(work.experiment.rounds.horizons, parts.round)
    print(row("dream", sides(parts, dream(work, parts, horizon), seeds)))


def dream(work: Work, parts: Parts, horizon: int) -> World:
    """Dreams of the parts' M, as C had them."""
    config = work.experiment.dream
    temperature = work.temperature(parts.round)
    told = replace(config, temperature=temperature, horizon=horizon)
    return work.dream(parts.round, parts.memory, parts.config.features, told)


@torch.no_grad()
def sides(parts: Parts, world: World, seeds: range) -> list[np.ndarray]:
    """Where C steps: for each episode (T,) of -1 left, 0 stay, 1 right, as long as it lived."""
    return [side for batch in batches(seeds) for side in sides_of(parts, world, batch)]


def sides_of(parts: Parts, world: World, seeds: range) -> list[np.ndarray]:
    """Likewise, of episodes that are played at once."""
    features = world.reset(seeds)
    stepped: list[np.ndarray] = []
    lived = np.zeros(len(seeds), int)
    on = np.ones(len(seeds), bool)
    while on.any():
        actions = act(parts.config, parts.parameters[None], features[None])[0]
        taken = TAKE_COVER.game_actions(actions.cpu().numpy())
        stepped.append((taken == RIGHT).astype(float) - (taken == LEFT))
        step = world.step(actions)
        lived += on
        on &= ~(step.terminated | step.truncated).cpu().numpy()
        features = step.features
    every = np.array(stepped)  # (T, B)
    return [every[:length, episode] for episode, length in enumerate(lived)]


def runs(side: np.ndarray) -> np.ndarray:
    """Of each tick (T,), how long the run of equal steps lasts in which it lies."""
    turns = np.flatnonzero(np.diff(side)) + 1
    lengths = np.diff(np.concatenate([[0], turns, [len(side)]]))
    return np.repeat(lengths, lengths)


def places(side: np.ndarray) -> np.ndarray:
    """Where these steps lead (T,); left is up."""
    return paths(START, -np.where(np.arange(len(side)) < FROZEN, 0.0, side)[None])[0]


def row(world: str, episodes: list[np.ndarray]) -> str:
    """A line of the table."""
    score = mean_and_error(np.array([len(side) for side in episodes], float))
    every = np.concatenate(episodes)
    shares = ", ".join(f"{np.mean(every == side):.0%}" for side in (-1, 0, 1))
    lasts = np.median(np.concatenate([runs(side) for side in episodes]))
    low, high = np.quantile(np.concatenate([places(side) for side in episodes]), [0.05, 0.95])
    lived = f"{score['mean']:.0f} ± {score['standard_error']:.0f}"
    return f"| {world} | {lived} | {shares} | {lasts:.0f} ticks | {low:.0f} to {high:.0f} |"


if __name__ == "__main__":
    in_a_sentence(main)
