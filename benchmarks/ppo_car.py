"""CarRacing-v3 as `benchmarks/ppo.py` learns and is scored in it: actions held for 4 steps, frames 64x64 in gray.

It needs no Stable-Baselines3. Frames are those that our V sees (the indicator bar cut off, resized to 64x64), painted
by `worldmodels/envs/car_painter.py`, and then turned to gray as OpenCV does.
"""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np

from worldmodels.envs.car_painter import PaintedGame
from worldmodels.envs.car_racing import CAR_RACING
from worldmodels.envs.game import FRAME_SIZE, resized
from worldmodels.runs.seeds import stream

TRACKS = 2**30 - 1  # of each kind: the largest seed is then still one that every backend takes as it is
RED_GREEN_BLUE = np.array([4899, 9617, 1868], np.int32)  # 0.299, 0.587 and 0.114 in 1/2**14


def training_track(seed: int, car: int, begun: int, episode: int) -> int:
    """Seed of a track to learn on: an even number. `begun` is how many updates there were when the cars started."""
    return 2 * (stream(seed, "ppo", "track", car, begun, episode) % TRACKS)


def scoring_track(seed: int, milestone: int, episode: int) -> int:
    """Seed of a track to be scored on: an odd number, so that no track is ever of both kinds."""
    return 2 * (stream(seed, "ppo", "score", milestone, episode) % TRACKS) + 1


def gray(frames: np.ndarray) -> np.ndarray:
    """Frames (N, 64, 64, 3) uint8 as (N, 64, 64) uint8."""
    return ((frames.astype(np.int32) @ RED_GREEN_BLUE + 2**13) >> 14).astype(np.uint8)


class HeldCar(gymnasium.Env):
    """One car. Observations are (1, 64, 64) uint8, actions those of the game; each is held for `hold` steps.

    Rewards are summed over the held steps. `info` has "steps", how many of the game's own steps that was, and at an
    episode's end "score". Tracks come one after the other from a stream of this car's own; the seed that `reset` is
    given is not used.
    """

    def __init__(self, seed: int, car: int, begun: int, hold: int) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, (1, FRAME_SIZE, FRAME_SIZE), np.uint8)
        self.action_space = gymnasium.spaces.Box(CAR_RACING.action_low, CAR_RACING.action_high)
        self._names, self._hold = (seed, car, begun), hold
        self._episode, self._score = 0, 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Gymnasium's, about the game's own action space
            game = gymnasium.make(
                "CarRacing-v3",
                disable_env_checker=True,
                max_episode_steps=CAR_RACING.max_steps,
                **dict(CAR_RACING.options),
            )
        self._game = PaintedGame(game)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """The first frame of the next track."""
        frame = self._game.reset(training_track(*self._names, self._episode))
        self._episode, self._score = self._episode + 1, 0.0
        return _seen(frame), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Hold an action: the last frame, the sum of the rewards, the ends, and `info`."""
        steps, earned, frame, terminated, truncated = 0, 0.0, None, False, False
        while steps < self._hold and not (terminated or truncated):
            steps += 1
            frame, reward, terminated, truncated = self._game.step(action, steps == self._hold)
            earned += reward
        assert frame is not None  # the last of the held frames, or the last of the episode
        self._score += earned
        info: dict[str, Any] = {"steps": steps}
        if terminated or truncated:
            info["score"] = self._score
        return _seen(frame), earned, terminated, truncated, info

    def close(self) -> None:
        """End the game."""
        self._game.close()


def _seen(frame: np.ndarray) -> np.ndarray:
    return gray(resized(frame[None]))


def hired_car(seed: int, car: int, begun: int, hold: int) -> HeldCar:
    """A car in a process of its own: one thread, and Ctrl-C is for the process that learns."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    return HeldCar(seed, car, begun, hold)


@dataclass
class Played:
    """What the cars did between two updates."""

    decisions: int = 0  # of each car
    frames: int = 0  # steps of the actual game, of all cars
    scores: list[float] = field(default_factory=list)  # of the episodes that ended

    def add(self, infos: Iterable[Mapping[str, Any]]) -> None:
        """Count one decision of every car, by what each car's `info` says."""
        self.decisions += 1
        for info in infos:
            self.frames += info["steps"]
            if "score" in info:
                self.scores.append(info["score"])


class Driver:
    """A policy at the wheel for `worldmodels.evaluation.score.score_policy`: it sees the last few frames in gray.

    Args:
        choose: frames (B, `stack`, 64, 64) uint8, the newest last, to actions (B, 3) float32.
        stack: how many frames; those before an episode's first are black, as VecFrameStack has it.
    """

    name = "ppo"

    def __init__(self, choose: Callable[[np.ndarray], np.ndarray], stack: int) -> None:
        self._choose, self._stack = choose, stack

    def start(self, seeds: Sequence[int]) -> None:
        """Begin one episode per seed."""
        self._frames = np.zeros((len(seeds), self._stack, FRAME_SIZE, FRAME_SIZE), np.uint8)

    def act(self, frames: np.ndarray) -> np.ndarray:
        """Next actions: frames (B, 64, 64, 3) uint8 -> (B, 3) float32."""
        self._frames = np.concatenate([self._frames[:, 1:], gray(frames)[:, None]], axis=1)
        return self._choose(self._frames)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with episodes `rows` (n,) only."""
        self._frames = self._frames[rows]
