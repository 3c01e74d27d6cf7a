"""The actual world: real games seen through V and remembered by M; to a controller it is like the dream."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from worldmodels.envs.pool import GamePool
from worldmodels.memory.mdn_rnn import MDNRNN, Recurrent, advance
from worldmodels.vision.vae import VAE, pixels
from worldmodels.worlds.state import Step, feature_size, features

GAMES_AT_ONCE = 64  # as many as the paper's population, and enough for V's products


class Senses:
    """V and M over a batch of games: frames in, features out. V's mean is used for z."""

    def __init__(self, vision: VAE, memory: MDNRNN, feature_kind: str, device: torch.device) -> None:
        self.vision, self.feature_kind, self.device = vision, feature_kind, device
        self.model, self.weights = memory, memory.tick_weights()
        self.feature_size = feature_size(feature_kind, memory.config.latent_size, memory.config.hidden_size)
        self.z = torch.zeros(0, memory.config.latent_size, device=device)
        self.memory = memory.initial(0)

    @torch.inference_mode()
    def begin(self, frames: np.ndarray) -> Tensor:
        """Begin an episode in each game, with an empty memory: (B, 64, 64, 3) uint8 -> features (B, F)."""
        self.memory = self.model.initial(len(frames))
        return self._look(frames)

    @torch.inference_mode()
    def go_on(self, actions: Tensor, frames: np.ndarray) -> Tensor:
        """What was done (B, A), and what is seen now: features (B, F)."""
        self.memory = advance(self.weights, self.z, actions, self.memory)
        return self._look(frames)

    @torch.inference_mode()
    def keep(self, rows: Tensor) -> None:
        """Go on with games `rows` (n,) int64 only."""
        self.z, self.memory = self.z[rows], Recurrent(*(part[rows] for part in self.memory))

    def _look(self, frames: np.ndarray) -> Tensor:
        self.z, _ = self.vision.encode(pixels(torch.from_numpy(frames).to(self.device)))
        return features(self.feature_kind, self.z, self.memory)


class ActualWorld:
    """B actual games as a World; an episode lasts `horizon` ticks at most.

    Args:
        patience: an episode is also cut off after so many ticks in a row without a positive reward; None: never.
        at_once: see `World`.
    """

    def __init__(
        self,
        senses: Senses,
        pool: GamePool,
        horizon: int,
        patience: int | None = None,
        at_once: int = GAMES_AT_ONCE,
    ) -> None:
        self.senses, self.pool, self.horizon, self.patience = senses, pool, horizon, patience
        self.feature_size, self.at_once, self.device = senses.feature_size, at_once, senses.device
        # Of the games before these; what the pool played before is not this world's.
        self._steps_before = -int(pool.steps_taken.sum())

    @property
    def game_steps(self) -> int:
        """Steps of the actual game that were played in this world until now."""
        return self._steps_before + int(self.pool.steps_taken.sum())

    def reset(self, seeds: Sequence[int]) -> Tensor:
        """Begin one game for each seed, in [0, 2**63). Returns features (B, F)."""
        self._steps_before = self.game_steps
        self._tick = 0
        self._games = np.arange(len(seeds))  # the pool's games that are still played
        self._unpaid = np.zeros(len(seeds), np.int64)  # ticks since each game paid
        # The pool wants an action for ended games too, which it ignores; this one is valid in every game.
        self._actions = np.tile(self.pool.spec.action_low, (len(seeds), 1))
        return self.senses.begin(self.pool.reset(seeds))

    def step(self, actions: Tensor) -> Step:
        """Act in every game: actions (B, A)."""
        self._actions[self._games] = actions.cpu().numpy()
        step = self.pool.step(self._actions)
        self._tick += 1
        seen = self.senses.go_on(actions, step.frames[self._games])
        ended = step.truncated
        if self.patience is not None:
            self._unpaid = np.where(step.rewards > 0, 0, self._unpaid + 1)
            lost = self._unpaid >= self.patience
            self.pool.stop(lost)
            ended = ended | (lost & ~step.terminated)
        rewards, terminated, truncated, missed = (
            torch.from_numpy(part[self._games]).to(seen.device)
            for part in (step.rewards, step.terminated, ended, step.missed)
        )
        if self._tick >= self.horizon:
            truncated = ~terminated
        return Step(seen, rewards, terminated, truncated, missed)

    def keep(self, rows: Tensor) -> None:
        """Go on with episodes `rows` (n,) int64 only: V and M no longer look at the others."""
        self._games = self._games[rows.cpu().numpy()]
        self.senses.keep(rows)
