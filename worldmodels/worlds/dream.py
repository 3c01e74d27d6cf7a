"""The dream: M alone as a world. Batched, without pixels ("Learning Inside of a Dream")."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodels.memory.mdn_rnn import MDNRNN, Recurrent, tick
from worldmodels.worlds import noise
from worldmodels.worlds.starts import Starts
from worldmodels.worlds.state import Step, feature_size, features

START, FIRST_LATENT, TICKS = 0, 1, 2  # numbers of the random streams of a dream


@dataclass(frozen=True)
class DreamConfig:
    """How to dream."""

    temperature: float = 1.0  # above 1: a more uncertain dream, which is harder to cheat
    horizon: int = 250  # ticks
    openings: float = 0.5  # share of the dreams that begin where episodes begin, with an empty memory
    starts: int = 2048  # openings, and as many later moments, kept in the bank
    action_noise: float = 0.0  # sigma of a smooth noise on the actions, in the game's units
    noise_correlation: float = 0.8  # of that noise from tick to tick

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise ValueError(f"dream.temperature must be a positive number, got {self.temperature}")
        if self.horizon < 1 or self.starts < 1:
            raise ValueError(
                f"dream.horizon and dream.starts must be at least 1, got {self.horizon}, {self.starts}"
            )
        if not 0 <= self.openings <= 1:
            raise ValueError(f"dream.openings must lie in [0, 1], got {self.openings}")
        if self.action_noise < 0:
            raise ValueError(f"dream.action_noise must not be negative, got {self.action_noise}")
        if not 0 <= self.noise_correlation < 1:
            raise ValueError(f"dream.noise_correlation must lie in [0, 1), got {self.noise_correlation}")


@torch.no_grad()
def fall_asleep(starts: Starts, seeds: Sequence[int], openings: float) -> tuple[Tensor, Recurrent, Tensor]:
    """Of each seed: the first latent (B, Z), M's memory, and the key of the ticks' random numbers (B,).

    `openings` is the share of the dreams that begin where episodes begin.
    """
    keys = noise.keys(seeds, starts.mu.device)
    which, where = noise.uniform(noise.fork(keys, START), 0, 2).unbind(dim=1)  # (B,) each
    opening = which < openings
    later = len(starts) - starts.openings
    if later == 0:
        opening = torch.ones_like(opening)
    count = torch.where(opening, starts.openings, later)
    rows = torch.minimum((where * count).long(), count - 1)
    rows = torch.where(opening, rows, rows + starts.openings)
    first = noise.normal(noise.fork(keys, FIRST_LATENT), 0, starts.mu.shape[1])
    z = starts.mu[rows] + torch.exp(0.5 * starts.logvar[rows]) * first
    return z, Recurrent(starts.h[rows], starts.c[rows]), noise.fork(keys, TICKS)


class DreamWorld:
    """B dreams at once, a World.

    Everything in a dream follows from its seed and the actions, whoever dreams beside it.

    Args:
        model: M with both extra heads; ValueError without them.
        starts: where to begin; the dream runs on their device.
        feature_kind: what C sees, one of `state.FEATURES`.
        action_bounds: smallest and largest action (A,), to clip disturbed actions to; None: no clipping.
    """

    def __init__(
        self,
        model: MDNRNN,
        starts: Starts,
        config: DreamConfig,
        feature_kind: str = "zh",
        action_bounds: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        if not (model.config.predicts_reward and model.config.predicts_end):
            raise ValueError("a dream needs an M that predicts the reward and the end")
        self.model_config, self.weights = model.config, model.tick_weights()
        self.starts, self.config, self.feature_kind = starts, config, feature_kind
        self.horizon = config.horizon
        self.feature_size = feature_size(feature_kind, model.config.latent_size, model.config.hidden_size)
        self.action_bounds = action_bounds
        self.device = starts.mu.device

    @torch.no_grad()
    def reset(self, seeds: Sequence[int]) -> Tensor:
        """Fall asleep: each seed chooses its start and its first latent. Returns features (B, F)."""
        self.z, self.memory, self._keys = fall_asleep(self.starts, seeds, self.config.openings)
        self._tick: int | Tensor = 0  # (B,) once dreams have begun at different times
        self._ended = torch.zeros(len(self.z), dtype=torch.bool, device=self.device)
        self._disturbance = torch.zeros(len(self.z), self.model_config.action_size, device=self.device)
        return features(self.feature_kind, self.z, self.memory)

    @torch.no_grad()
    def restart(self, rows: Sequence[int], seeds: Sequence[int]) -> Tensor:
        """Let dreams `rows` begin anew, each from its seed, while the others go on. Returns features (B, F)."""
        at = torch.tensor(rows, dtype=torch.int64, device=self.device)
        z, memory, keys = fall_asleep(self.starts, seeds, self.config.openings)
        if isinstance(self._tick, int):
            self._tick = torch.full_like(self._keys, self._tick)
        self._tick = self._tick.index_fill(0, at, 0)
        self.z, self._keys = self.z.index_copy(0, at, z), self._keys.index_copy(0, at, keys)
        self.memory = Recurrent(
            *(old.index_copy(0, at, new) for old, new in zip(self.memory, memory, strict=True))
        )
        self._ended = self._ended.index_fill(0, at, False)
        self._disturbance = self._disturbance.index_fill(0, at, 0.0)
        return features(self.feature_kind, self.z, self.memory)

    @torch.no_grad()
    def step(self, actions: Tensor) -> Step:
        """Dream one tick: actions (B, A)."""
        latent, action = self.model_config.latent_size, self.model_config.action_size
        if self.config.action_noise > 0:
            uniform = noise.uniform(self._keys, self._tick, latent + action)
            actions = self._disturbed(actions, uniform[:, latent:])
            uniform = uniform[:, :latent]
        else:
            uniform = noise.uniform(self._keys, self._tick, latent)
        after = tick(
            self.model_config, self.weights, self.z, actions, self.memory, uniform, self.config.temperature
        )
        assert after.reward is not None, "the constructor has checked"
        assert after.end_logit is not None, "the constructor has checked"
        self.z, self.memory = after.z, after.memory
        self._tick = self._tick + 1
        reward = torch.where(self._ended, 0.0, after.reward)
        # The end is a cut-off and not a draw, as in the paper: over when it is likelier than not.
        self._ended = self._ended | (after.end_logit > 0)
        truncated = torch.zeros_like(self._ended).logical_or_(torch.as_tensor(self._tick >= self.horizon))
        return Step(
            features(self.feature_kind, self.z, self.memory), reward, self._ended, truncated & ~self._ended
        )

    def _disturbed(self, actions: Tensor, uniform: Tensor) -> Tensor:
        rho = self.config.noise_correlation
        shock = noise.to_normal(uniform) * (self.config.action_noise * math.sqrt(1 - rho**2))
        self._disturbance = rho * self._disturbance + shock
        actions = actions + self._disturbance
        return actions if self.action_bounds is None else actions.clamp(*self.action_bounds)
