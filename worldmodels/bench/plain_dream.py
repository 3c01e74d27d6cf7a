"""The dream as one would write it down from the paper: the reference for numbers and for speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from worldmodels.bench.plain import Outputs, PlainMemory
from worldmodels.controller.linear import ControllerConfig


def draw(out: Outputs, uniform: Tensor, temperature: float) -> Tensor:
    """The next latent (B, Z) by one uniform number each (B, Z): which component, and where within it."""
    chances = torch.softmax(out.logits / temperature, dim=-1)  # (B, Z, K)
    upper = chances.cumsum(dim=-1)
    beyond = uniform.unsqueeze(-1) > upper[..., :-1]  # the last component takes what is left
    chosen = beyond.sum(dim=-1, keepdim=True)

    def of_the_chosen(values: Tensor) -> Tensor:
        return values.gather(-1, chosen).squeeze(-1)

    chance = of_the_chosen(chances)
    rest = (uniform - (of_the_chosen(upper) - chance)) / chance
    noise = torch.special.ndtri(rest.clamp(1e-6, 1 - 1e-6))
    return of_the_chosen(out.mu) + temperature**0.5 * torch.exp(of_the_chosen(out.log_sigma)) * noise


class PlainDreams(NamedTuple):
    """Where B dreams stand."""

    z: Tensor  # (B, Z)
    h: Tensor  # (B, N)
    c: Tensor  # (B, N)
    ended: Tensor  # (B,) bool


@torch.no_grad()
def dream_tick(
    model: PlainMemory, dreams: PlainDreams, actions: Tensor, uniform: Tensor, temperature: float
) -> tuple[PlainDreams, Tensor]:
    """One tick of B dreams, and what it earned (B,): actions (B, A), uniform (B, Z)."""
    h, c = model.remember(dreams.z, actions, dreams.h, dreams.c)
    out = model.outputs(h)
    assert out.end_logit is not None, "a dream needs an M that predicts the end"
    reward = torch.ones_like(out.end_logit) if out.reward is None else out.reward
    reward = torch.where(dreams.ended, torch.zeros_like(reward), reward)
    z = draw(out, uniform, temperature)
    return PlainDreams(z, h, c, dreams.ended | (out.end_logit > 0)), reward


def seen_by_controller(kind: str, dreams: PlainDreams) -> Tensor:
    """What C sees of each dream: "z", "zh" or "zch" (B, F)."""
    parts = {"z": dreams.z, "c": dreams.c, "h": dreams.h}
    return torch.cat([parts[name] for name in kind], dim=1)


def act(config: ControllerConfig, parameters: Tensor, features: Tensor) -> Tensor:
    """Actions (P * R, A) of P linear controllers (P, n) that see R worlds each, features (P * R, F)."""
    if config.hidden:
        raise ValueError(f"the plain C has no hidden layer, and this one has {config.hidden} units in it")
    population, weights = len(parameters), config.action_size * config.feature_size
    matrix = parameters[:, :weights].reshape(population, config.action_size, config.feature_size)
    seen = features.reshape(population, -1, config.feature_size)
    outputs = torch.einsum("prf,paf->pra", seen, matrix)
    if config.bias:
        outputs = outputs + parameters[:, weights:].unsqueeze(1)
    squashed = torch.tanh(outputs).reshape(-1, config.action_size)
    ranges = {
        "symmetric": squashed,
        "unit": (squashed + 1) / 2,
        "positive": squashed.clamp(min=0),
    }
    return torch.stack([ranges[kind][:, i] for i, kind in enumerate(config.action_kinds)], dim=1)


@torch.no_grad()
def play(
    model: PlainMemory,
    dreams: PlainDreams,
    config: ControllerConfig,
    features: str,
    parameters: Tensor,
    uniform: Callable[[int], Tensor],
    temperature: float,
    ticks: int,
) -> Tensor:
    """Returns (P, R) of P controllers (P, n) in R dreams each, those of one controller side by side in `dreams`.

    All dreams are dreamt to the last tick, those that have ended too.

    Args:
        uniform: the random numbers (P * R, Z) of a tick.
    """
    total = torch.zeros_like(dreams.z[:, 0])
    for t in range(ticks):
        actions = act(config, parameters, seen_by_controller(features, dreams))
        dreams, reward = dream_tick(model, dreams, actions, uniform(t), temperature)
        total = total + reward
    return total.reshape(len(parameters), -1)
