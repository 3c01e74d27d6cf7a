"""The dream of another M, in which C acts as it does in the actual game: with the memory of its own M.

What an M gets wrong about the game evolution finds, for the dream in which C is scored and the memory that C reads err
together. Another M, grown from other random numbers, errs elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from worldmodels.memory.mdn_rnn import MDNRNN, Recurrent, advance
from worldmodels.worlds import noise
from worldmodels.worlds.dream import DreamWorld, begin_at
from worldmodels.worlds.starts import Starts
from worldmodels.worlds.state import Step, feature_size, features


class OthersDream:
    """B dreams of another M at once, a World. M itself follows what the other one dreams, as it follows the game.

    Args:
        model: C's own M. starts: those of the dream, as this M remembers what came before them; ValueError where they
            are other moments. dream: of the other M; it is stepped and reset by this world alone.
    """

    game_steps = 0

    def __init__(self, model: MDNRNN, starts: Starts, dream: DreamWorld) -> None:
        if starts.openings != dream.starts.openings or not torch.equal(starts.mu, dream.starts.mu):
            raise ValueError("both Ms must begin at the same moments")
        self.dream, self.starts, self.weights = dream, starts, model.tick_weights()
        self.horizon, self.at_once, self.device = dream.horizon, dream.at_once, dream.device
        self.feature_size = feature_size(
            dream.feature_kind, model.config.latent_size, model.config.hidden_size
        )
        self.recordings: dict[Any, Any] = {}

    @property
    def state(self) -> tuple[Tensor, ...]:
        """Where the dreams stand, and the two parts of what C's M remembers of them."""
        return *self.dream.state, *self._memory

    @state.setter
    def state(self, state: tuple[Tensor, ...]) -> None:
        self.dream.state, self._memory = state[:-2], Recurrent(*state[-2:])

    @property
    def records(self) -> bool:
        return self.dream.records

    @torch.no_grad()
    def reset(self, seeds: Sequence[int]) -> Tensor:
        """Fall asleep where the other M does, each seed with the memory that C's M has of that moment."""
        self.dream.reset(seeds)
        rows = begin_at(self.starts, noise.keys(seeds, self.starts.mu.device), self.dream.config.openings)
        self._memory = Recurrent(self.starts.h[rows], self.starts.c[rows])
        return self.seen()

    @torch.no_grad()
    def keep(self, rows: Tensor) -> None:
        """Dream on in dreams `rows` (n,) int64 only."""
        self.dream.keep(rows)
        self._memory = Recurrent(*(part[rows] for part in self._memory))

    @torch.no_grad()
    def step(self, actions: Tensor) -> Step:
        """Dream one tick: actions (B, A)."""
        z = self.dream.z
        step = self.dream.step(actions)
        self._memory = advance(self.weights, z, self.dream.done(actions), self._memory)
        return step._replace(features=self.seen())

    def seen(self) -> Tensor:
        """What C sees of them: features (B, F), of the other M's latents and its own M's memory."""
        return features(self.dream.feature_kind, self.dream.z, self._memory)
