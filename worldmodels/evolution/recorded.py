"""Episodes of a world that can be recorded: several ticks, C at the wheel, as one CUDA graph that is replayed.

A tick of a thousand dreams is a dozen small kernels on a GPU. Started one by one from Python they take several times as
long as they run; a graph starts them all at once. What is replayed is the very code that plays elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig, act
from worldmodels.runs.graphs import graph_of
from worldmodels.worlds.state import RecordableWorld

SHRINK = 0.75  # the batch's sizes are its first one times powers of this: few, as each is recorded for itself
STEP = 64  # and multiples of this


class Playing(NamedTuple):
    """B episodes, and who plays them."""

    players: Tensor  # (P, n) for equal shares of the B in their order, or (B, n)
    actions: Tensor  # (B, A), the last ones
    earned: Tensor  # (B,) until now
    ended: Tensor  # (B,) bool
    state: tuple[Tensor, ...]  # where the world stands, each (B, ...)


class Recording:
    """`advance` on tensors that keep their places in memory, which is what a graph needs.

    On a CPU nothing is recorded, and `advance` runs each time.

    Args:
        advance: a function of tensors alone that never looks at them. example: what to record it with.
    """

    def __init__(self, advance: Callable[[Playing], Playing], example: Playing) -> None:
        players, actions, earned, ended = (part.clone() for part in example[:4])
        state = tuple(part.clone() for part in example.state)
        self._playing = Playing(players, actions, earned, ended, state)

        def once() -> None:
            _copy(advance(self._playing), self._playing)

        self._replay = graph_of(once, "dreams run") if players.is_cuda else once

    def play(self, playing: Playing) -> Playing:
        """What becomes of `playing`. It is valid until the next call."""
        _copy(playing, self._playing)
        self._replay()
        return self._playing


def returns_recorded(
    config: ControllerConfig,
    parameters: Tensor,
    world: RecordableWorld,
    seeds: Sequence[int],
    jerk_cost: float,
    look_every: int,
) -> Tensor:
    """As `fitness.returns` for one batch: parameters (P, n), R seeds -> (P, R).

    Every `look_every` ticks the batch shrinks to the next size that holds whoever still plays. Some that have ended
    come along then: they earn nothing.
    """
    population, repeats = len(parameters), len(seeds)
    playing = begun(config, parameters, world, list(seeds) * population)  # B = P * R at first
    parameters, total = playing.players, torch.zeros_like(playing.earned)
    rows = torch.arange(len(total), device=total.device)  # (B,) which of all the episodes these are
    for tick in range(0, world.horizon, look_every):
        ticks = min(look_every, world.horizon - tick)
        key = (config, jerk_cost, ticks, len(rows), len(playing.players))
        if key not in world.recordings:
            advance = advancing(config, world, ticks, jerk_cost)
            world.recordings[key] = Recording(advance, playing)
        playing = world.recordings[key].play(playing)
        left = len(rows) - int(playing.ended.sum())
        if left == 0:
            break
        size = smaller_size(len(rows), left)
        if size < len(rows):
            order = torch.argsort(playing.ended.to(torch.uint8), stable=True)  # those who play first
            kept, dropped = order[:size], order[size:]
            total[rows[dropped]] = playing.earned[dropped]
            rows = rows[kept]
            state = tuple(part[kept] for part in playing.state)
            actions, earned, ended = (part[kept] for part in playing[1:4])
            playing = Playing(parameters[rows // repeats], actions, earned, ended, state)
    total[rows] = playing.earned
    return total.view(population, repeats)


def begun(
    config: ControllerConfig, parameters: Tensor, world: RecordableWorld, seeds: Sequence[int]
) -> Playing:
    """Episodes of `world` before their first tick, one for each seed, in equal shares for parameters (P, n)."""
    seen = world.reset(seeds)  # (B, F)
    parameters = parameters.to(seen.device)
    actions = act(config, parameters, seen.unflatten(0, (len(parameters), -1))).flatten(0, 1)
    nothing = torch.zeros(len(seen), device=seen.device)
    # The actions before the first ones are these themselves: there is no jerk at the first tick.
    return Playing(parameters, actions, nothing, nothing > 0, world.state)


def smaller_size(size: int, left: int) -> int:
    """The smallest size of a batch, from `size` downwards, that holds `left` episodes."""
    while (smaller := -(-int(size * SHRINK) // STEP) * STEP) < size and smaller >= left:
        size = smaller
    return size


def advancing(
    config: ControllerConfig,
    world: RecordableWorld,
    ticks: int,
    jerk_cost: float = 0.0,
) -> Callable[[Playing], Playing]:
    """So many ticks of `world`, as a function for `Recording`."""

    def advance(playing: Playing) -> Playing:
        players, before, earned, ended, state = playing
        world.state = state
        for _ in range(ticks):
            actions = act(config, players, world.seen().unflatten(0, (len(players), -1))).flatten(0, 1)
            if jerk_cost > 0:
                jerk = (actions - before).square().sum(dim=-1)
                earned = earned - jerk_cost * jerk * ~ended
            step = world.step(actions)
            earned, ended, before = earned + step.reward, step.terminated | step.truncated, actions
        return Playing(players, before, earned, ended, world.state)

    return advance


def _copy(source: Playing, target: Playing) -> None:
    for value, place in zip((*source[:4], *source.state), (*target[:4], *target.state), strict=True):
        if value is not place:
            place.copy_(value)
