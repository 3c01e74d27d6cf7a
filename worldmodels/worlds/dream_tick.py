"""A tick of the dream, for many dreams at once: a pure function, and what it is told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from worldmodels.memory.mdn_rnn import MDNRNNConfig, Recurrent, TickWeights, tick
from worldmodels.worlds import noise

POINTS_A_TILE = 3.5  # of CarRacing's 1,000 for a lap; a road has some 285 tiles
ENDS, WARMTH, KEPT = 3, 4, 5  # numbers of the random streams that are forked from the ticks' own


@dataclass(frozen=True)
class DreamConfig:
    """How to dream."""

    temperature: float = 1.0  # above 1: a more uncertain dream, which is harder to cheat
    temperature_spread: float = 0.0  # each dream has its own, drawn evenly from temperature * (1 ± this)
    dropout: float = 0.0  # share of M's units that its heads do not see at a tick, as `memory.dropout`
    horizon: int = 250  # ticks
    openings: float = 0.5  # share of the dreams that begin where episodes begin, with an empty memory
    starts: int = 2048  # openings, and as many later moments, kept in the bank
    # Where C is sought, and scored when it is found, share of those later moments that lie in the last 64 ticks of a
    # game that ended; no other dream begins so.
    brink: float = 0.0
    action_noise: float = 0.0  # sigma of a smooth noise on the actions, in the game's units
    noise_correlation: float = 0.8  # of that noise from tick to tick
    # "cut-off": a dream ends where M's logit of an end is above 0, as in the paper; what is less likely costs nothing.
    # "drawn": it ends by chance, as often as M holds it likely.
    ends: Literal["cut-off", "drawn"] = "cut-off"
    lap: float | None = None  # points of road after which a dream ends, as the game does; None: never
    missed: float = 0.0  # points of road that a tick without reward leaves behind

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise ValueError(f"dream.temperature must be a positive number, got {self.temperature}")
        if not 0 <= self.temperature_spread < 1:
            raise ValueError(f"dream.temperature_spread must lie in [0, 1), got {self.temperature_spread}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dream.dropout must lie in [0, 1), got {self.dropout}")
        if self.horizon < 1 or self.starts < 1:
            raise ValueError(
                f"dream.horizon and dream.starts must be at least 1, got {self.horizon}, {self.starts}"
            )
        if not 0 <= self.openings <= 1:
            raise ValueError(f"dream.openings must lie in [0, 1], got {self.openings}")
        if not 0 <= self.brink <= 1:
            raise ValueError(f"dream.brink must lie in [0, 1], got {self.brink}")
        if self.action_noise < 0:
            raise ValueError(f"dream.action_noise must not be negative, got {self.action_noise}")
        if not 0 <= self.noise_correlation < 1:
            raise ValueError(f"dream.noise_correlation must lie in [0, 1), got {self.noise_correlation}")
        if self.ends not in ("cut-off", "drawn"):
            raise ValueError(f"dream.ends must be cut-off or drawn, got {self.ends!r}")
        if self.lap is not None and not (self.lap > 0 and math.isfinite(self.lap)):
            raise ValueError(f"dream.lap must lie above 0, got {self.lap}")
        if not (self.missed >= 0 and math.isfinite(self.missed)):
            raise ValueError(f"dream.missed must not be negative, got {self.missed}")


class Dreams(NamedTuple):
    """Where B dreams stand."""

    z: Tensor  # (B, Z)
    h: Tensor  # (B, N), with c M's memory
    c: Tensor  # (B, N)
    keys: Tensor  # (B,) int64, of their random numbers
    ticks: Tensor  # (B,) int64, dreamt so far
    ended: Tensor  # (B,) bool
    disturbance: Tensor  # (B, A), the noise on the last actions
    passed: Tensor  # (B,) points of road left behind; only where there is a lap
    chance: Tensor  # (B,) that the last tick was the end; only where ends are drawn


def dream_on(
    model: MDNRNNConfig,
    weights: TickWeights,
    config: DreamConfig,
    bounds: tuple[Tensor, Tensor] | None,
    temperature: Tensor,
    dreams: Dreams,
    actions: Tensor,
) -> tuple[Dreams, Tensor]:
    """One tick of B dreams: where they stand after it, and what it earned (B,). A pure function of its arguments.

    Args:
        config: of which horizon, openings and starts are not used. bounds: see `DreamWorld`. temperature: (1, 1).
        actions: (B, A).
    """
    disturbance, size = dreams.disturbance, model.latent_size
    if config.action_noise > 0:
        uniform = noise.uniform(dreams.keys, dreams.ticks, size + model.action_size)
        rho = config.noise_correlation
        shock = noise.to_normal(uniform[:, size:]) * (config.action_noise * math.sqrt(1 - rho**2))
        disturbance = rho * disturbance + shock
        actions = bounded(actions + disturbance, bounds)
        uniform = uniform[:, :size]
    else:
        uniform = noise.uniform(dreams.keys, dreams.ticks, size)
    if config.temperature_spread > 0:
        even = noise.uniform(noise.fork(dreams.keys, WARMTH), 0, 1)  # (B, 1), the same at every tick
        temperature = temperature * (1 + config.temperature_spread * (2 * even - 1))
    kept = None
    if config.dropout > 0:
        kept = noise.uniform(noise.fork(dreams.keys, KEPT), dreams.ticks, model.hidden_size) > config.dropout
        kept = kept / (1 - config.dropout)
    memory = Recurrent(dreams.h, dreams.c)
    z, (h, c), reward, end_logit = tick(model, weights, dreams.z, actions, memory, uniform, temperature, kept)
    assert end_logit is not None, "DreamWorld has checked"
    chance = dreams.chance
    if config.ends == "drawn":
        chance = torch.sigmoid(end_logit)
        ends = noise.uniform(noise.fork(dreams.keys, ENDS), dreams.ticks, 1).squeeze(1) < chance
    else:  # as in the paper
        ends = end_logit > 0
    ended, passed = dreams.ended | ends, dreams.passed
    if config.lap is not None:
        passed = passed + road(reward, config.missed)
        ended = ended | (passed >= config.lap)
        if config.ends == "drawn":  # at the end of a lap nothing is left to chance
            chance = torch.where(passed >= config.lap, 1.0, chance)
    after = Dreams(z, h, c, dreams.keys, dreams.ticks + 1, ended, disturbance, passed, chance)
    return after, torch.where(dreams.ended, 0.0, reward)


def road(reward: Tensor, missed: float) -> Tensor:
    """Points of road (B,) that a tick with this reward (B,) leaves behind.

    What is earned, and `missed` where nothing is: a car beside the road goes past as much of it as one on the road. M
    foretells the mean of a reward; below one point it is taken for a chance that nothing comes.
    """
    return reward.clamp(min=0) + left_out(reward, missed)


def left_out(reward: Tensor, missed: float) -> Tensor:
    """Of this road the points (B,) that nobody has earned."""
    return missed * (1 - reward).clamp(0, 1)


def bounded(actions: Tensor, bounds: tuple[Tensor, Tensor] | None) -> Tensor:
    """Actions (B, A), none beyond the bounds (A,)."""
    return actions if bounds is None else actions.clamp(*bounds)
