"""Actions and temperatures in whole hundredths, so that what was done can be written down and done again exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from worldmodels.envs.game import GameSpec

FAR = 1e6  # beyond every game's actions: a hundred times the largest number is no number
Action = tuple[int, ...]  # one number for each of the game's actions, in hundredths of its unit


def hundredths(value: float) -> int:
    """The nearest number of hundredths; a half goes up."""
    return math.floor(value * 100 + 0.5)


def mean_action(actions: Sequence[Action]) -> Action:
    """Their mean, in hundredths again; a half goes up."""
    count = len(actions)
    return tuple((2 * sum(column) + count) // (2 * count) for column in zip(*actions, strict=True))


def units(action: Action) -> np.ndarray:
    """In the game's units: (A,) float32."""
    return np.array([number / 100 for number in action], np.float32)


class ActionRange:
    """The smallest and the largest action of a game, in hundredths."""

    def __init__(self, spec: GameSpec) -> None:
        self.low = tuple(hundredths(float(bound)) for bound in spec.action_low)
        self.high = tuple(hundredths(float(bound)) for bound in spec.action_high)

    @property
    def size(self) -> int:
        """Numbers in an action (A)."""
        return len(self.low)

    @property
    def rest(self) -> Action:
        """Nothing done: zero, or the number next to it that the game allows."""
        return self.nearest([0.0] * self.size)

    def nearest(self, values: Sequence[float]) -> Action:
        """A finite numbers in the game's units, clamped to its range."""
        bounds = zip(values, self.low, self.high, strict=True)
        near = [(min(max(value, -FAR), FAR), low, high) for value, low, high in bounds]
        return tuple(min(max(hundredths(value), low), high) for value, low, high in near)

    def contains(self, action: Action) -> bool:
        bounds = zip(action, self.low, self.high, strict=True)
        return all(low <= number <= high for number, low, high in bounds)
