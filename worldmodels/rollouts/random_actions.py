"""The random policy that scores are compared with: every action drawn evenly from its range, at each tick anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from worldmodels.envs.game import GameSpec
from worldmodels.runs.seeds import numpy_stream


class RandomActions:
    """Uniform actions, as `env.action_space.sample()` draws them; blind to the frames."""

    name = "random"

    def __init__(self, spec: GameSpec) -> None:
        self.low, self.high = spec.action_low, spec.action_high

    def start(self, seeds: Sequence[int]) -> None:
        """Begin one episode per seed."""
        self._streams = [numpy_stream(seed, self.name) for seed in seeds]

    def act(self, frames: np.ndarray) -> np.ndarray:
        """Next action of every episode (B, A) float32."""
        return np.stack([s.uniform(self.low, self.high) for s in self._streams]).astype(np.float32)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with episodes `rows` (n,) only."""
        self._streams = [self._streams[row] for row in rows]
