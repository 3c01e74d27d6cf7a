"""The agent at play in the actual game: V and M as senses, C as the hand, noise where it shall explore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig, act
from worldmodels.runs.seeds import numpy_stream
from worldmodels.worlds.actual import Senses


@dataclass(frozen=True)
class ActionNoise:
    """A smooth random walk (Ornstein-Uhlenbeck) added to the controller's actions in some of the episodes."""

    sigma: float = 0.3  # standard deviation, in the game's units
    correlation: float = 0.8  # from tick to tick
    share: float = 0.5  # of the episodes; the others are played without, and tell how good C is

    def __post_init__(self) -> None:
        if not 0 <= self.correlation < 1 or self.sigma < 0 or not 0 <= self.share <= 1:
            raise ValueError(f"noise needs sigma >= 0, correlation in [0, 1), share in [0, 1], got {self}")

    def disturbs(self, count: int) -> int:
        """How many of so many episodes that are started together it disturbs: the first ones."""
        return round(self.share * count)


class ControllerPolicy:
    """C at the wheel of B games; the first `share` of the episodes that are started together are disturbed.

    What it does in an episode follows from that episode's seed and frames, and from whether it is disturbed.

    Args:
        parameters: (n,) of one individual. low, high: (A,) range of the game's actions.
        noise: None plays without.
    """

    name = "controller"

    def __init__(
        self,
        senses: Senses,
        config: ControllerConfig,
        parameters: Tensor,
        low: np.ndarray,
        high: np.ndarray,
        noise: ActionNoise | None = None,
    ) -> None:
        self.senses, self.config = senses, config
        self.parameters = parameters[None].to(senses.device)  # (1, n)
        self.low, self.high, self.noise = low, high, noise or ActionNoise(share=0)

    def start(self, seeds: Sequence[int]) -> None:
        """Begin one episode per seed."""
        self._random = [numpy_stream(seed, "action-noise") for seed in seeds]
        disturbed = np.arange(len(seeds)) < self.noise.disturbs(len(seeds))
        self._strength = (disturbed * self.noise.sigma).astype(np.float32)[:, None]  # (B, 1)
        self._away = np.zeros((len(seeds), self.config.action_size), np.float32)
        self._last: Tensor | None = None

    def act(self, frames: np.ndarray) -> np.ndarray:
        """Next action of every episode: frames (B, 64, 64, 3) uint8 -> (B, A) float32."""
        seen = self.senses.begin(frames) if self._last is None else self.senses.go_on(self._last, frames)
        actions = act(self.config, self.parameters, seen[None])[0].cpu().numpy()  # (B, A)
        shock = np.stack([random.standard_normal(actions.shape[1], np.float32) for random in self._random])
        rho = self.noise.correlation
        self._away = rho * self._away + np.float32(np.sqrt(1 - rho**2)) * shock
        actions = np.clip(actions + self._strength * self._away, self.low, self.high)
        self._last = torch.from_numpy(actions).to(seen.device)
        return actions

    def keep(self, rows: np.ndarray) -> None:
        """Go on with episodes `rows` (n,) only: V and M no longer look at the others."""
        at = torch.from_numpy(rows)
        self.senses.keep(at.to(self.parameters.device))
        self._random = [self._random[row] for row in rows]
        self._strength, self._away = self._strength[rows], self._away[rows]
        if self._last is not None:
            self._last = self._last[at.to(self._last.device)]
