"""The dream: M alone as a world. Batched, without pixels ("Learning Inside of a Dream")."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from worldmodels.memory.mdn_rnn import MDNRNN, Recurrent
from worldmodels.worlds import noise
from worldmodels.worlds.compiled import EXAMPLE, compiled
from worldmodels.worlds.dream_tick import POINTS_A_TILE, DreamConfig, Dreams, bounded, dream_on, left_out
from worldmodels.worlds.starts import Starts
from worldmodels.worlds.state import Step, feature_size, features

START, FIRST_LATENT, TICKS = 0, 1, 2  # numbers of the random streams of a dream


@torch.no_grad()
def begin_at(starts: Starts, keys: Tensor, openings: float) -> Tensor:
    """Rows (B,) int64 of the bank at which the dreams with these keys (B,) begin.

    `openings` is the share of the dreams that begin where episodes begin.
    """
    which, where = noise.uniform(noise.fork(keys, START), 0, 2).unbind(dim=1)  # (B,) each
    opening = which < openings
    later = len(starts) - starts.openings
    if later == 0:
        opening = torch.ones_like(opening)
    count = torch.where(opening, starts.openings, later)
    rows = torch.minimum((where * count).long(), count - 1)
    return torch.where(opening, rows, rows + starts.openings)


@torch.no_grad()
def fall_asleep(starts: Starts, seeds: Sequence[int], openings: float) -> tuple[Tensor, Recurrent, Tensor]:
    """Of each seed: the first latent (B, Z), M's memory, and the key of the ticks' random numbers (B,)."""
    keys = noise.keys(seeds, starts.mu.device)
    rows = begin_at(starts, keys, openings)
    first = noise.normal(noise.fork(keys, FIRST_LATENT), 0, starts.mu.shape[1])
    z = starts.mu[rows] + torch.exp(0.5 * starts.logvar[rows]) * first
    return z, Recurrent(starts.h[rows], starts.c[rows]), noise.fork(keys, TICKS)


class DreamWorld:
    """B dreams at once, a World.

    Everything in a dream follows from its seed and the actions, whoever dreams beside it.

    Args:
        model: M with a head for the end; ValueError without it.
        starts: where to begin; the dream runs on their device.
        feature_kind: what C sees, one of `state.FEATURES`.
        action_bounds: smallest and largest action (A,), to clip disturbed actions to; None: no clipping.
        end_weight: that of an end in M's training, which let it look likelier by this factor. Drawn ends take it out.
    """

    at_once = 8192  # what dreams need while they run is bounded by this
    game_steps = 0

    def __init__(
        self,
        model: MDNRNN,
        starts: Starts,
        config: DreamConfig,
        feature_kind: str = "zh",
        action_bounds: tuple[Tensor, Tensor] | None = None,
        end_weight: float = 1.0,
    ) -> None:
        if not model.config.predicts_end:
            raise ValueError("a dream needs an M that predicts the end")
        self.model_config, self.weights = model.config, model.tick_weights()
        if config.ends == "drawn":
            self.weights.head_bias[-1] -= math.log(end_weight)  # of the end's logit, the last of the head
        self.starts, self.config, self.feature_kind = starts, config, feature_kind
        self.horizon = config.horizon
        self.feature_size = feature_size(feature_kind, model.config.latent_size, model.config.hidden_size)
        self.device = starts.mu.device
        self._bounds = action_bounds
        temperature = torch.full((1, 1), config.temperature, device=self.device)
        self._settings = model.config, self.weights, config, action_bounds, temperature
        self._dream_on = dream_on
        self.recordings: dict[Any, Any] = {}
        self._records = False

    @property
    def z(self) -> Tensor:
        """The latents of the dreams (B, Z)."""
        return self._dreams.z

    @property
    def memory(self) -> Recurrent:
        """M's memory of the dreams."""
        return Recurrent(self._dreams.h, self._dreams.c)

    @property
    def state(self) -> tuple[Tensor, ...]:
        """Where the dreams stand: the fields of `Dreams`."""
        return self._dreams

    @state.setter
    def state(self, state: tuple[Tensor, ...]) -> None:
        self._dreams = Dreams(*state)

    @property
    def records(self) -> bool:
        return self._records

    def compile(self) -> None:
        """Dream with a compiled tick from here on; see `compiled`, which says where that cannot be had.

        On a GPU an evolution also records the ticks and replays them (`evolution.recorded`).
        """
        actions = torch.zeros(EXAMPLE, self.model_config.action_size, device=self.device)
        self._dream_on = compiled(dream_on, *self._settings, self._asleep(range(EXAMPLE)), actions)
        self._records = self.device.type == "cuda"

    @torch.no_grad()
    def reset(self, seeds: Sequence[int]) -> Tensor:
        """Fall asleep: each seed chooses its start and its first latent. Returns features (B, F)."""
        self._dreams = self._asleep(seeds)
        return self.seen()

    @torch.no_grad()
    def restart(self, rows: Sequence[int], seeds: Sequence[int]) -> Tensor:
        """Let dreams `rows` begin anew, each from its seed, while the others go on. Returns features (B, F)."""
        at = torch.tensor(rows, dtype=torch.int64, device=self.device)
        begun = self._asleep(seeds)
        self._dreams = Dreams(
            *(old.index_copy(0, at, new) for old, new in zip(self._dreams, begun, strict=True))
        )
        return self.seen()

    @torch.no_grad()
    def keep(self, rows: Tensor) -> None:
        """Dream on in dreams `rows` (n,) int64 only."""
        self._dreams = Dreams(*(part[rows] for part in self._dreams))

    @torch.no_grad()
    def step(self, actions: Tensor) -> Step:
        """Dream one tick: actions (B, A). Where ticks without reward leave road behind, missed says how many tiles."""
        over = self._dreams.ended
        self._dreams, reward = self._dream_on(*self._settings, self._dreams, actions)
        ended = self._dreams.ended
        truncated = (self._dreams.ticks >= self.horizon) & ~ended
        chance = self._dreams.chance if self.config.ends == "drawn" else None
        missed = None
        if self.config.missed > 0:
            missed = torch.where(over, 0.0, left_out(reward, self.config.missed) / POINTS_A_TILE)
        return Step(self.seen(), reward, ended, truncated, missed, chance)

    def done(self, actions: Tensor) -> Tensor:
        """What became of the actions (B, A) of the last tick: they, with the noise on them."""
        if self.config.action_noise == 0:
            return actions
        return bounded(actions + self._dreams.disturbance, self._bounds)

    def _asleep(self, seeds: Sequence[int]) -> Dreams:
        z, memory, keys = fall_asleep(self.starts, seeds, self.config.openings)
        ended = torch.zeros_like(keys, dtype=torch.bool)
        disturbance = z.new_zeros(len(z), self.model_config.action_size)
        nothing = z.new_zeros(len(z))
        return Dreams(z, *memory, keys, torch.zeros_like(keys), ended, disturbance, nothing, nothing.clone())

    def seen(self) -> Tensor:
        """What C sees of them: features (B, F)."""
        return features(self.feature_kind, self.z, self.memory)
