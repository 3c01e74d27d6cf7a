"""Random policies that hold what they do: the paper's for Take Cover ("VizDoom Experiment"), and more varied ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from worldmodels.envs.game import GameSpec
from worldmodels.runs.seeds import numpy_stream


class HeldActions:
    """Uniform actions, each held for 1 to `longest` ticks, as many as a die says; blind to the frames."""

    name = "held-actions"

    def __init__(self, spec: GameSpec, longest: int = 10) -> None:
        if longest < 1:
            raise ValueError(f"longest must be at least 1, got {longest}")
        self.low, self.high, self.longest = spec.action_low, spec.action_high, longest

    def start(self, seeds: Sequence[int]) -> None:
        """Begin one episode per seed."""
        self._streams = [numpy_stream(seed, "exploration", self.name) for seed in seeds]
        self._left = np.zeros(len(seeds), np.int64)  # (B,) ticks for which the action is still held
        self._actions = np.zeros((len(seeds), len(self.low)), np.float32)  # (B, A)

    def act(self, frames: np.ndarray) -> np.ndarray:
        """Next action of every episode (B, A) float32."""
        for row in np.flatnonzero(self._left == 0).tolist():
            self._actions[row] = self._streams[row].uniform(self.low, self.high)
            self._left[row] = self._hold(row)
        self._left -= 1
        return self._actions.copy()

    def keep(self, rows: np.ndarray) -> None:
        """Go on with episodes `rows` (n,) only."""
        self._streams = [self._streams[row] for row in rows]
        self._left, self._actions = self._left[rows], self._actions[rows]

    def _hold(self, row: int) -> int:
        """Ticks for which an episode's next action is held."""
        return int(self._streams[row].integers(1, self.longest + 1))


class VariedHolds(HeldActions):
    """As `HeldActions`, with another `longest` in each episode, drawn log-evenly from 2 to below `slowest` ticks.

    Not in the paper. With holds of 1 to 10 ticks the player dithers about the middle of the room. An M that has hardly
    seen the walls takes them for safe, and evolution finds out.
    """

    name = "varied-holds"

    def __init__(self, spec: GameSpec, slowest: int = 128) -> None:
        super().__init__(spec)
        if slowest < 2:
            raise ValueError(f"slowest must be at least 2, got {slowest}")
        self.slowest = slowest

    def start(self, seeds: Sequence[int]) -> None:
        """Begin one episode per seed."""
        super().start(seeds)
        self._longest = [int(2 * (self.slowest / 2) ** stream.random()) for stream in self._streams]

    def keep(self, rows: np.ndarray) -> None:
        """Go on with episodes `rows` (n,) only."""
        super().keep(rows)
        self._longest = [self._longest[row] for row in rows]

    def _hold(self, row: int) -> int:
        return int(self._streams[row].integers(1, self._longest[row] + 1))


class Strafing(HeldActions):
    """From side to side, at another pace in each episode, dithering now and then; blind to the frames.

    An episode's pace is drawn log-evenly from 30 to below 150 ticks, and each run to a side lasts for 0.7 to 1.3 of it.
    A share of what it does, drawn from none to `most_dithering`, is instead as `HeldActions` would do it, for up to 20
    ticks.

    Not in the paper. In Take Cover nearly nothing hits who runs from wall to wall but what has left the picture by
    then: fireballs that were aimed at the place where the player turned. An M that dreams of them has to remember them,
    and only deaths teach it to. Who dithers in the middle of the room dies of others, and before there are many.
    """

    name = "strafing"
    paces = (30.0, 150.0)

    def __init__(self, spec: GameSpec, most_dithering: float = 0.5) -> None:
        super().__init__(spec, longest=20)
        if not 0 <= most_dithering <= 1:
            raise ValueError(f"most_dithering must lie in [0, 1], got {most_dithering}")
        self.most_dithering = most_dithering

    def start(self, seeds: Sequence[int]) -> None:
        """Begin one episode per seed."""
        super().start(seeds)
        fastest, slowest = self.paces
        self._pace = np.array([fastest * (slowest / fastest) ** stream.random() for stream in self._streams])
        self._dithers = np.array([self.most_dithering * stream.random() for stream in self._streams])  # (B,)
        self._side = np.array([stream.choice((-1.0, 1.0)) for stream in self._streams])  # (B,)
        self._running = np.zeros(len(seeds), bool)  # (B,) to its side, not dithering

    def act(self, frames: np.ndarray) -> np.ndarray:
        """Next action of every episode (B, A) float32."""
        for row in np.flatnonzero(self._left == 0).tolist():
            self._running[row] = self._streams[row].random() >= self._dithers[row]
            self._side[row] *= -1.0 if self._running[row] else 1.0
        actions = super().act(frames)
        width = (self.high[0] - self.low[0]) / 3  # of the outer thirds of what steps to a side
        within = (actions[:, 0] - self.low[0]) / 3  # from 0 to that width
        sides = np.where(self._side < 0, self.low[0] + within, self.high[0] - width + within)
        actions[:, 0] = np.where(self._running, sides, actions[:, 0])
        return actions

    def keep(self, rows: np.ndarray) -> None:
        """Go on with episodes `rows` (n,) only."""
        super().keep(rows)
        self._pace, self._dithers = self._pace[rows], self._dithers[rows]
        self._side, self._running = self._side[rows], self._running[rows]

    def _hold(self, row: int) -> int:
        if not self._running[row]:
            return super()._hold(row)
        return int(self._pace[row] * self._streams[row].uniform(0.7, 1.3))
