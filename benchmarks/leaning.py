"""Does C lean on the noise it has learnt with? `python benchmarks/leaning.py pretrained:car-racing --noise 0.08`

C by policy gradient learns with noise on its outputs and is scored without. Where it is better with it, it has come
to count on it. The brake is cut off at 0: noise around an output of 0 brakes on the mean, and whoever has learnt so
goes too fast when it is gone. Printed: what C scores in CarRacing without noise, with noise on all outputs, and on one
of them alone, on the same tracks each (sketched, as it learns in them); and how often the noise reaches the cut-off.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sentences import in_a_sentence, run_of
from torch import Tensor

from worldmodels.controller.linear import outputs, squash
from worldmodels.errors import UserError
from worldmodels.evaluation.score import mean_and_error
from worldmodels.evolution.controllers import load_controller
from worldmodels.pipeline.temperature import refuse_less_than_one
from worldmodels.pipeline.work import Parts, Work
from worldmodels.worlds.actual import ActualWorld

ACTIONS = ("steering", "gas", "brake")
BRAKE = ACTIONS.index("brake")
LOST = 700  # points; a lap with fewer has lost the road


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="run folder of CarRacing, or pretrained:NAME")
    parser.add_argument("--controller", type=Path, help="another C of that V and M, as of an ablation")
    parser.add_argument(
        "--noise", type=float, default=0.04, help="standard deviation, on outputs before tanh"
    )
    parser.add_argument("--episodes", type=int, default=64, help="for each row")
    parser.add_argument("--seed", type=int, default=910_000_000, help="of the first episode")
    asked = parser.parse_args()
    refuse_less_than_one(episodes=asked.episodes)
    if not 0 < asked.noise < float("inf"):
        raise UserError(f"--noise must be above 0, got {asked.noise}")
    work = run_of(asked.run, "car-racing", "cpu")
    parts = work.best() if asked.controller is None else with_another(work, asked.controller)
    seeds = range(asked.seed, asked.seed + asked.episodes)
    nothing, one = torch.zeros(len(ACTIONS)), torch.eye(len(ACTIONS))
    rows = {"nothing": nothing, "all": torch.ones(len(ACTIONS))}
    rows |= {name: one[index] for index, name in enumerate(ACTIONS)}
    print(f"noise {asked.noise:g}, {asked.episodes} sketched episodes; near: within 2 deviations")
    print("| noise on | score | lost | brake near its cut-off |\n|---|---|---|---|")
    with work.pool("sketch") as pool:
        world = ActualWorld(work.senses(parts), pool, work.ticks, work.experiment.evolution.patience)
        batches = [seeds[first : first + world.at_once] for first in range(0, len(seeds), world.at_once)]
        for name, where in rows.items():
            driven = [drive(parts, world, batch, asked.noise * where) for batch in batches]
            scores = np.concatenate([scores for scores, _ in driven])
            near = (torch.cat([brake for _, brake in driven]).abs() < 2 * asked.noise).float().mean()
            score = mean_and_error(scores)
            print(
                f"| {name} | {score['mean']:.0f} ± {score['standard_error']:.0f} | {np.mean(scores < LOST):.0%} "
                f"| {near:.0%} |",
                flush=True,
            )


def with_another(work: Work, controller: Path) -> Parts:
    """The run's parts with the C at that path; one that sees z alone names no M."""
    best = work.best()
    made_from = {"vision": work.vision(best.round)[1], "memory": work.memory(best.round)[1]}
    if load_controller(controller)[0].features == "z":
        del made_from["memory"]
    config, parameters, _ = load_controller(controller, made_from)
    return replace(best, config=config, parameters=parameters.to(work.device))


@torch.no_grad()
def drive(parts: Parts, world: ActualWorld, seeds: range, noise: Tensor) -> tuple[np.ndarray, Tensor]:
    """Scores (B,) with noise of such deviations (A,) on C's outputs, and the brake's outputs in all ticks (n,)."""
    generator = torch.Generator().manual_seed(0)
    features = world.reset(seeds)
    total, on = torch.zeros(len(seeds)), torch.ones(len(seeds), dtype=torch.bool)
    brakes = []
    for _ in range(world.horizon):
        raw = outputs(parts.config, parts.parameters[None], features[None])[0]  # (B, A)
        brakes.append(raw[on, BRAKE])
        step = world.step(squash(parts.config, raw + noise * torch.randn(raw.shape, generator=generator)))
        total += step.reward * on
        on &= ~(step.terminated | step.truncated)
        features = step.features
        if not on.any():
            break
    return total.numpy(), torch.cat(brakes)


if __name__ == "__main__":
    in_a_sentence(main)
