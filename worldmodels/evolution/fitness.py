"""Fitness: the mean return of each individual over episodes that all individuals share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig, act
from worldmodels.evolution.recorded import returns_recorded
from worldmodels.worlds.state import World, records

LOOK_EVERY = 16  # ticks between two looks at who has ended: a look waits for the device
CROWDED = 0.75  # share of the episodes that must be running, or the ended ones are left out of the batch


@torch.no_grad()
def returns(
    config: ControllerConfig,
    parameters: Tensor,
    world: World,
    seeds: Sequence[int],
    jerk_cost: float = 0.0,
) -> Tensor:
    """Return of every individual in every episode: parameters (P, n), R seeds -> (P, R).

    Individual p meets the same R seeds as its rivals. The episodes are played as one batch (in several of world.at_once
    at most, where P * R is more; all individuals are in each). Those that have ended are left behind, so that a batch
    costs about as much as its episodes are long.

    Args:
        jerk_cost: jerk_cost * |action - action before|^2 is taken off the return for each tick. Evolution
            finds it easy to flicker between extremes, which M has hardly seen and which spins the actual car.
    """
    at_once = max(1, world.at_once // len(parameters))
    batches = [seeds[first : first + at_once] for first in range(0, len(seeds), at_once)]
    if records(world):
        played = [
            returns_recorded(config, parameters, world, batch, jerk_cost, LOOK_EVERY) for batch in batches
        ]
    else:
        played = [_play(config, parameters, world, batch, jerk_cost) for batch in batches]
    return torch.cat(played, dim=1)


def _play(
    config: ControllerConfig,
    parameters: Tensor,
    world: World,
    seeds: Sequence[int],
    jerk_cost: float,
) -> Tensor:
    """One batch: parameters (P, n), R seeds -> returns (P, R)."""
    population, repeats = len(parameters), len(seeds)
    seen = world.reset(list(seeds) * population)  # (B, F), B = P * R at first
    parameters = parameters.to(seen.device)
    players = parameters  # of the B episodes, as equal shares in their order: (P, n), later (B, n)
    total = torch.zeros(population * repeats, device=seen.device)
    rows = torch.arange(len(total), device=seen.device)  # (B,) which of all the episodes these are
    running = torch.ones_like(rows, dtype=torch.bool)
    before: Tensor | None = None
    for tick in range(world.horizon):
        actions = act(config, players, seen.unflatten(0, (len(players), -1))).flatten(0, 1)  # (B, A)
        step = world.step(actions)
        earned = step.reward
        if jerk_cost > 0 and before is not None:
            earned = earned - jerk_cost * (actions - before).square().sum(dim=-1) * running
        total[rows] += earned
        seen, before = step.features, actions
        running = ~(step.terminated | step.truncated)
        if tick % LOOK_EVERY == LOOK_EVERY - 1:
            left = int(running.sum())
            if left == 0:
                break
            if left < CROWDED * len(running):
                kept = running.nonzero().squeeze(1)
                world.keep(kept)
                rows, running, seen, before = rows[kept], running[kept], seen[kept], before[kept]
                players = parameters[rows // repeats]
    return total.view(population, repeats)
