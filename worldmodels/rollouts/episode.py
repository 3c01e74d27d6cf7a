"""One episode of the actual game, as it is stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Episode:
    """What the agent saw, did and earned from the start of a game to its end; T actions, T+1 frames.

    Raises ValueError, with the bad value, when the fields contradict each other.
    """

    frames: np.ndarray  # (T+1, 64, 64, 3) uint8; frames[t] is what the agent saw before actions[t]
    actions: np.ndarray  # (T, A) float32
    rewards: np.ndarray  # (T,) float32, earned by actions[t]
    terminated: bool  # died or finished; False: cut off by the step limit
    policy: str  # who played
    seed: int  # of the game
    action_repeat: (
        int  # steps of the game that each action was held for (the last one shorter where the game ended)
    )
    game_steps: int  # length in the game's own steps
    dropped_steps: int = 0  # of shorter episodes that were played before it in its place, and are not kept

    def __post_init__(self) -> None:
        steps = len(self.rewards)
        _check("rewards", self.rewards, np.float32, (steps,))
        _check("frames", self.frames, np.uint8, (steps + 1, 64, 64, 3))
        _check("actions", self.actions, np.float32, (steps, *self.actions.shape[1:2]))
        if steps == 0:
            raise ValueError("an episode needs at least one action, got none")
        if self.actions.ndim != 2 or self.actions.shape[1] == 0:
            raise ValueError(f"actions must be (T, A), got {self.actions.shape}")
        for name in ("actions", "rewards"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} must be finite, got {getattr(self, name)}")
        if self.action_repeat < 1:
            raise ValueError(f"action_repeat must be at least 1, got {self.action_repeat}")
        shortest, longest = (steps - 1) * self.action_repeat + 1, steps * self.action_repeat
        if not shortest <= self.game_steps <= longest:
            raise ValueError(
                f"game_steps must lie in {shortest}..{longest} for {steps} actions held for "
                f"{self.action_repeat}, got {self.game_steps}"
            )
        if self.dropped_steps < 0:
            raise ValueError(f"dropped_steps must not be negative, got {self.dropped_steps}")

    @property
    def length(self) -> int:
        """Actions taken (T)."""
        return len(self.actions)

    @property
    def score(self) -> float:
        """Sum of rewards."""
        return float(self.rewards.sum(dtype=np.float64))


def _check(name: str, array: np.ndarray, dtype: type, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{name} must be {shape} {np.dtype(dtype)}, got {array.shape} {array.dtype}")
