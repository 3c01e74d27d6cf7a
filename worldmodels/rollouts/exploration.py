"""The random policies that play before anything has been learnt (paper, "Car Racing Experiment", step 1).

Both play B episodes at once. What a policy does in an episode follows from that episode's seed and the frames
it has seen there, never from the episodes played beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from worldmodels.envs.game import GameSpec
from worldmodels.runs.seeds import numpy_stream


class Policy(Protocol):
    """Whoever chooses the actions of B episodes played at once."""

    name: str

    def start(self, seeds: Sequence[int]) -> None:
        """Begin one episode per seed."""
        ...

    def act(self, frames: np.ndarray) -> np.ndarray:
        """Next actions, in the game's own ranges: frames (B, 64, 64, 3) uint8 -> (B, A) float32."""
        ...

    def keep(self, rows: np.ndarray) -> None:
        """Go on with episodes `rows` (n,) int64 of the B only, in this order: the others have ended."""
        ...


SQUASH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "symmetric": np.tanh,
    "unit": lambda x: (np.tanh(x) + 1) / 2,
    "positive": lambda x: np.clip(np.tanh(x), 0, 1),
}


def squash(x: np.ndarray, kinds: Sequence[str]) -> np.ndarray:
    """Real numbers (B, A) to actions (B, A) float32 of these kinds, as the paper's controller does it."""
    return np.stack([SQUASH[kind](x[:, i]) for i, kind in enumerate(kinds)], axis=1).astype(np.float32)


@dataclass(frozen=True)
class RandomNetworksConfig:
    """Size of the networks, and how much they see, remember and do."""

    hidden_size: int = 32  # units of the recurrent network: enough for many rhythms, cheap beside the game
    memory: float = 1.2  # spectral radius of the recurrent weights; above 1, activity does not die out
    sight: float = 3.0  # weight of the frame in the units' input
    noise: float = 0.5  # weight of white noise in the units' input
    smallest: float = 0.1  # range of the output weights' scale, drawn once an episode ...
    largest: float = 3.0  # ... evenly in its logarithm: from almost steady to almost bang-bang actions

    def __post_init__(self) -> None:
        if not 0 < self.smallest <= self.largest:
            raise ValueError(f"scales must be 0 < smallest <= largest, got {self.smallest}..{self.largest}")


class RandomNetworks:
    """Actions of randomly initialised networks, a new one for each episode, as in the paper.

    The frame is averaged to 8x8 grey values and drives a small recurrent network of random weights, whose
    random linear output is squashed to the game's actions.

    Differences from the authors' code (carracing/extract.py), where V, M and C of the paper's sizes all get
    random weights: those are drawn from a Cauchy distribution of an episode's scale (0 to 0.01), but V's and
    M's are then divided by 10,000 as they are loaded. So z is practically white noise, h practically zero,
    and the actions are white noise times C's weights. Here the network is small, it does see the frame, its
    noise has a memory, and normal weights of a log-uniform scale stand in for Cauchy's heavy tails.
    """

    name = "random-networks"

    def __init__(self, spec: GameSpec, config: RandomNetworksConfig | None = None) -> None:
        self.spec, self.config = spec, config or RandomNetworksConfig()

    def start(self, seeds: Sequence[int]) -> None:
        units, config = self.config.hidden_size, self.config
        self._streams = [numpy_stream(seed, "exploration", self.name) for seed in seeds]

        def draw(*shape: int) -> np.ndarray:  # (B, *shape), row b from episode b's stream alone
            return np.stack([stream.standard_normal(shape, np.float32) for stream in self._streams])

        self._from_frame = draw(units, 64) * np.float32(config.sight / np.sqrt(64))
        self._from_units = draw(units, units) * np.float32(config.memory / np.sqrt(units))
        low, high = np.log(config.smallest), np.log(config.largest)
        scale = np.exp([stream.uniform(low, high) for stream in self._streams]).astype(np.float32)  # (B,)
        self._to_actions = (
            draw(self.spec.action_size, units) * scale[:, None, None] / np.float32(np.sqrt(units))
        )
        self._bias = draw(self.spec.action_size) * scale[:, None]  # (B, A)
        self._hidden = draw(units)  # (B, units)

    def act(self, frames: np.ndarray) -> np.ndarray:
        noise = np.stack([s.standard_normal(self.config.hidden_size, np.float32) for s in self._streams])
        drive = _product(self._from_frame, grey_8x8(frames)) + _product(self._from_units, self._hidden)
        self._hidden = np.tanh(drive + np.float32(self.config.noise) * noise)
        return squash(_product(self._to_actions, self._hidden) + self._bias, self.spec.action_kinds)

    def keep(self, rows: np.ndarray) -> None:
        self._streams = [self._streams[row] for row in rows]
        self._from_frame, self._from_units = self._from_frame[rows], self._from_units[rows]
        self._to_actions, self._bias = self._to_actions[rows], self._bias[rows]
        self._hidden = self._hidden[rows]


Range = tuple[float, float]


@dataclass(frozen=True)
class RandomWalkConfig:
    """Each episode draws its own walk, evenly from these ranges (lowest, highest). Chosen for CarRacing.

    The means are before squashing, by kind of action. Gentle walks stay on the road longest and teach M what driving
    looks like; wild ones teach it what full throttle and hard braking do.
    """

    symmetric: Range = (0.0, 0.0)  # steering: straight on, on average
    unit: Range = (-0.7, 0.4)  # gas: (tanh(x) + 1) / 2 = 0.2 to 0.7
    positive: Range = (-1.5, -0.6)  # brake: seldom above zero
    sigma: Range = (0.4, 1.2)  # standard deviation of the walk before squashing
    correlation: Range = (0.4, 0.7)  # between one action and the next

    def __post_init__(self) -> None:
        for low, high in (self.symmetric, self.unit, self.positive, self.sigma, self.correlation):
            if low > high:
                raise ValueError(f"a range must be (lowest, highest), got ({low}, {high})")
        if not (self.correlation[0] >= 0 and self.correlation[1] < 1) or self.sigma[0] < 0:
            raise ValueError(
                f"correlation must lie in [0, 1) and sigma be >= 0, got {self.correlation}, {self.sigma}"
            )


class RandomWalk:
    """A smooth random walk around a mean (an Ornstein-Uhlenbeck process); blind to the frames.

    x' = mean + correlation (x - mean) + sigma sqrt(1 - correlation^2) noise, begun in its stationary distribution.
    Not in the paper: it covers more road than random networks do.
    """

    name = "random-walk"

    def __init__(self, spec: GameSpec, config: RandomWalkConfig | None = None) -> None:
        self.spec, self.config = spec, config or RandomWalkConfig()

    def start(self, seeds: Sequence[int]) -> None:
        config, kinds = self.config, self.spec.action_kinds
        self._streams = [numpy_stream(seed, "exploration", self.name) for seed in seeds]

        def draw(bounds: Range) -> np.ndarray:  # (B, 1)
            return np.array([[stream.uniform(*bounds)] for stream in self._streams], np.float32)

        self._mean = np.concatenate([draw(getattr(config, kind)) for kind in kinds], axis=1)  # (B, A)
        self._sigma, self._correlation = draw(config.sigma), draw(config.correlation)
        self._away = self._noise() * self._sigma  # (B, A), distance from the mean

    def act(self, frames: np.ndarray) -> np.ndarray:
        x = self._mean + self._away
        rho = self._correlation
        self._away = rho * self._away + self._sigma * np.sqrt(1 - rho**2) * self._noise()
        return squash(x, self.spec.action_kinds)

    def keep(self, rows: np.ndarray) -> None:
        self._streams = [self._streams[row] for row in rows]
        self._mean, self._away = self._mean[rows], self._away[rows]
        self._sigma, self._correlation = self._sigma[rows], self._correlation[rows]

    def _noise(self) -> np.ndarray:
        return np.stack([s.standard_normal(self.spec.action_size, np.float32) for s in self._streams])


def grey_8x8(frames: np.ndarray) -> np.ndarray:
    """Mean of each 8x8 block and its channels, in [-0.5, 0.5]: (B, 64, 64, 3) uint8 -> (B, 64) float32."""
    blocks = frames.reshape(len(frames), 8, 8, 8, 24).sum(axis=(2, 4), dtype=np.uint32)  # (B, 8, 8)
    return blocks.reshape(len(frames), 64).astype(np.float32) / np.float32(192 * 255) - np.float32(0.5)


def _product(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Each episode's own matrix times its vector: (B, m, n), (B, n) -> (B, m)."""
    return (weights @ x[:, :, None])[:, :, 0]
