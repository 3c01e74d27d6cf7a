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
from dodging import FRICTION, THRUST, WALLS
from sentences import in_a_sentence, run_of

from worldmodels.controller.linear import act
from worldmodels.evaluation.score import mean_and_error
from worldmodels.evolution.controllers import load_controller
from worldmodels.experiments import at_round
from worldmodels.pipeline.temperature import refuse_less_than_one
from worldmodels.pipeline.work import Parts, Work
from worldmodels.worlds.actual import ActualWorld
from worldmodels.worlds.state import World

MIDDLE = 384.0  # where an episode begins
FROZEN = 8  # tics at its beginning in which nobody moves
THIRD = 1 / 3  # an action above it steps to the right, one below its negative to the left


def main() -> None:
    """Play, dream and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="a run folder of take-cover, or pretrained:NAME")
    parser.add_argument("--controller", type=Path, help="another C of the run's last M, as searches.py makes")
    parser.add_argument("--round", type=int, help="of that one's M")
    parser.add_argument("--episodes", type=int, default=32, help="in each world")
    parser.add_argument("--seed", type=int, default=70_000_000, help="of the first episode")
    asked = parser.parse_args()
    refuse_less_than_one(episodes=asked.episodes)
    work = run_of(asked.run, "take-cover")
    parts = work.best() if asked.controller is None else another(work, asked.controller, asked.round or 0)
    seeds = range(asked.seed, asked.seed + asked.episodes)
    print("| world | ticks | left, stay, right | a run lasts | places |\n|---|---|---|---|---|")
    with work.pool() as pool:
        print(row("game", sides(parts, ActualWorld(work.senses(parts), pool, work.ticks), seeds)), flush=True)
    horizon = at_round(work.experiment.rounds.horizons, parts.round)
    print(row("dream", sides(parts, dream(work, parts, horizon), seeds)))


def another(work: Work, path: Path, round: int) -> Parts:
    """V and M of a round with a C from elsewhere that was made from them."""
    (vision, vision_hash), (memory, memory_hash) = work.vision(round), work.memory(round)
    config, parameters, _ = load_controller(path, {"vision": vision_hash, "memory": memory_hash})
    return Parts(round, vision, memory, config, parameters.to(work.device))


def dream(work: Work, parts: Parts, horizon: int) -> World:
    """Dreams of the parts' M, as C had them."""
    config = work.experiment.dream
    temperature = work.temperature(parts.round)
    told = replace(config, temperature=temperature, horizon=horizon)
    return work.dream(parts.round, parts.memory, parts.config.features, told)


@torch.no_grad()
def sides(parts: Parts, world: World, seeds: range) -> list[np.ndarray]:
    """Where C steps: for each episode (T,) of -1 left, 0 stay, 1 right, as long as it lived."""
    features = world.reset(seeds)
    stepped: list[np.ndarray] = []
    lived = np.zeros(len(seeds), int)
    on = np.ones(len(seeds), bool)
    while on.any():
        actions = act(parts.config, parts.parameters[None], features[None])[0]
        stepped.append(np.sign(actions[:, 0].cpu().numpy() * (actions[:, 0].abs() > THIRD).cpu().numpy()))
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
    """Where these steps lead (T,), by the engine's rules; left is up."""
    y, speed, been = MIDDLE, 0.0, np.empty(len(side))
    for tic, step in enumerate(side):
        speed -= THRUST * step * (tic >= FROZEN)
        y += speed
        speed = 0.0 if y < WALLS[0] or y > WALLS[1] else speed * FRICTION
        y = min(max(y, WALLS[0]), WALLS[1])
        been[tic] = y
    return been


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
