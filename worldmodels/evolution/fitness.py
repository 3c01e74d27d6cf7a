"""Fitness: the mean return of each individual over episodes that all individuals share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig, act
from worldmodels.worlds.state import World

LOOK_EVERY = 16  # ticks between two looks at whether all have ended: a look waits for the device


@torch.no_grad()
def returns(
    config: ControllerConfig,
    parameters: Tensor,
    world: World,
    seeds: Sequence[int],
    jerk_cost: float = 0.0,
) -> Tensor:
    """Return of every individual in every episode: parameters (P, n), R seeds -> (P, R).

    All P * R episodes are played as one batch, and individual p meets the same R seeds as its rivals.

    Args:
        jerk_cost: jerk_cost * |action - action before|^2 is taken off the return for each tick. Evolution
            finds it easy to flicker between extremes, which M has hardly seen and which spins the actual car.
    """
    population, repeats = len(parameters), len(seeds)
    seen = world.reset(list(seeds) * population)  # (P * R, F)
    parameters = parameters.to(seen.device)
    total = torch.zeros(population * repeats, device=seen.device)
    running = torch.ones_like(total, dtype=torch.bool)
    before: Tensor | None = None
    for tick in range(world.horizon):
        actions = act(config, parameters, seen.view(population, repeats, -1)).flatten(0, 1)  # (P * R, A)
        step = world.step(actions)
        total += step.reward
        if jerk_cost > 0 and before is not None:
            total -= jerk_cost * (actions - before).square().sum(dim=-1) * running
        seen, before = step.features, actions
        running = ~(step.terminated | step.truncated)
        if tick % LOOK_EVERY == LOOK_EVERY - 1 and not bool(running.any()):
            break
    return total.view(population, repeats)
