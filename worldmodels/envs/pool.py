"""Many games at once, one episode each.

EnvPool (C++ threads) plays a game where it has the game and a wheel for this machine; otherwise Gymnasium
plays it in worker processes. One behaviour: a backend only starts and plays games and shows what `GameSpec.observe`
makes of their frames; everything else that could differ between backends (seeds, freezing ended episodes, counting
steps, checking actions) happens here, once.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from worldmodels.envs.game import FRAME_SIZE, GameSpec
from worldmodels.errors import UserError

BACKENDS = ("auto", "envpool", "gymnasium", "sketch")
SEED_RANGE = 2**31 - 1  # the games' own seeds are C ints in EnvPool; wider seeds are reduced to this range


@dataclass(frozen=True)
class PoolStep:
    """What one action of each of B games led to."""

    frames: np.ndarray  # (B, 64, 64, 3) uint8
    rewards: np.ndarray  # (B,) float32, summed over the repeats of the action
    terminated: np.ndarray  # (B,) bool: the game itself ended (died or finished)
    truncated: np.ndarray  # (B,) bool: cut off by the step limit
    missed: np.ndarray  # (B,) int64: tiles of the road left behind untouched; 0 where nobody counts them


@dataclass(frozen=True)
class Turn:
    """What a backend reports of the n games it played."""

    frames: np.ndarray  # (n, 64, 64, 3) uint8, as V sees them
    rewards: np.ndarray  # (n,) float32
    terminated: np.ndarray  # (n,) bool
    truncated: np.ndarray  # (n,) bool
    steps: np.ndarray  # (n,) int64: steps of the game that were played, fewer than asked for where it ended
    missed: np.ndarray  # (n,) int64: tiles of the road left behind untouched

    @classmethod
    def blank(cls, games: int) -> "Turn":
        """Zeros for a backend to fill in."""
        return cls(
            np.zeros((games, FRAME_SIZE, FRAME_SIZE, 3), np.uint8),
            np.zeros(games, np.float32),
            np.zeros(games, bool),
            np.zeros(games, bool),
            np.zeros(games, np.int64),
            np.zeros(games, np.int64),
        )


class Games(Protocol):
    """A backend: games that can be started and played. It is never asked to play a game that has ended."""

    counts_missed: bool  # whether its turns say which tiles were missed

    def start(self, seeds: Sequence[int]) -> np.ndarray:
        """Start one episode per seed, in [0, SEED_RANGE); frames (B, 64, 64, 3) uint8.

        An episode is a function of its seed and its actions, whatever was played before or is played beside
        it.
        """
        ...

    def play(self, rows: np.ndarray, actions: np.ndarray, repeats: int) -> Turn:
        """Hold actions (n, A) float32 for `repeats` steps in games `rows` (n,) int64, stopping at an end."""
        ...

    def close(self) -> None:
        """Give back threads and processes; may be called twice."""
        ...


class GamePool(Protocol):
    """B games at once, one episode each.

    An episode is a function of its seed and its actions: neither the other episodes nor the number of workers
    change it. After its end it is frozen: its last frame again, reward 0, flags as they were at the end.
    """

    spec: GameSpec
    action_repeat: int

    @property
    def steps_taken(self) -> np.ndarray:
        """Steps of the game so far, per episode: (B,) int64."""
        ...

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        """Start one episode per seed; frames (B, 64, 64, 3) uint8. B may differ between calls."""
        ...

    def step(self, actions: np.ndarray) -> PoolStep:
        """Hold actions (B, A) float32 for `action_repeat` steps of the game; rewards are summed."""
        ...

    def stop(self, episodes: np.ndarray) -> None:
        """Truncate episodes (B,) bool where they stand; those that have ended stay as they are."""
        ...

    def close(self) -> None:
        """Give back threads and processes; may be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class EpisodePool:
    """The GamePool over any backend."""

    def __init__(self, spec: GameSpec, games: Games, action_repeat: int = 1) -> None:
        if action_repeat < 1:
            raise ValueError(f"action_repeat must be at least 1, got {action_repeat}")
        self.spec = spec
        self.action_repeat = action_repeat
        self._games = games
        self._closed = False
        self._begin(np.zeros((0, FRAME_SIZE, FRAME_SIZE, 3), np.uint8))

    def _begin(self, frames: np.ndarray) -> None:
        self._frames = frames
        self._terminated = np.zeros(len(frames), bool)
        self._truncated = np.zeros(len(frames), bool)
        self._steps_taken = np.zeros(len(frames), np.int64)

    @property
    def steps_taken(self) -> np.ndarray:
        """Steps of the game so far, per episode: (B,) int64."""
        return self._steps_taken.copy()

    @property
    def counts_missed(self) -> bool:
        """Whether its steps say how many tiles of the road were missed."""
        return self._games.counts_missed

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        """Start one episode per seed; frames (B, 64, 64, 3) uint8.

        Raises ValueError for no seed or one below 0.
        """
        self._must_be_open()
        if not len(seeds) or min(seeds) < 0:
            raise ValueError(f"reset needs one seed >= 0 per episode, got {list(seeds)}")
        self._begin(self._games.start([int(seed) % SEED_RANGE for seed in seeds]))
        return self._frames.copy()

    def step(self, actions: np.ndarray) -> PoolStep:
        """Hold actions (B, A) float32 for `action_repeat` steps of the game.

        Raises ValueError when actions have another shape, are not finite or leave the game's range.
        """
        actions = self._checked(actions)
        rewards = np.zeros(len(self._frames), np.float32)
        missed = np.zeros(len(self._frames), np.int64)
        rows = np.flatnonzero(~(self._terminated | self._truncated))  # (n,)
        if len(rows):
            turn = self._games.play(rows, actions[rows], self.action_repeat)
            self._frames[rows] = turn.frames
            rewards[rows] = turn.rewards
            missed[rows] = turn.missed
            self._terminated[rows] = turn.terminated
            self._truncated[rows] = turn.truncated
            self._steps_taken[rows] += turn.steps
        return PoolStep(self._frames.copy(), rewards, self._terminated.copy(), self._truncated.copy(), missed)

    def stop(self, episodes: np.ndarray) -> None:
        """Truncate episodes (B,) bool where they stand: they are frozen from here on, and no longer played."""
        self._truncated |= episodes & ~self._terminated

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        self._must_be_open()
        if not len(self._frames):
            raise RuntimeError("step was called before reset")
        actions = np.asarray(actions, np.float32)
        expected = (len(self._frames), self.spec.action_size)
        if actions.shape != expected:
            raise ValueError(f"actions must have shape {expected}, got {actions.shape}")
        low, high = self.spec.action_low, self.spec.action_high
        slack = 1e-3  # actions that were stored in half precision may lie a little outside
        within = np.all((actions >= low - slack) & (actions <= high + slack), axis=1)  # (B,), False for NaN
        if not np.all(within):
            wrong = actions[~within][0].tolist()
            raise ValueError(f"actions must lie between {low.tolist()} and {high.tolist()}, got {wrong}")
        return np.clip(actions, low, high)

    def _must_be_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"this pool of {self.spec.name} games has been closed")

    def close(self) -> None:
        """Give back threads and processes; may be called twice."""
        self._closed = True
        self._games.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_pool(
    spec: GameSpec, backend: str = "auto", action_repeat: int = 1, workers: int | None = None
) -> EpisodePool:
    """A pool that plays `spec` on `workers` threads (EnvPool) or processes (Gymnasium); None: one per core.

    backend "auto": EnvPool where it is installed and has the game, else Gymnasium. "gymnasium" is the
    reference, in which published scores are counted; "envpool" is faster where every step is looked at, with frames
    that differ a little; "sketch" is Gymnasium's game with frames that differ less, and the fastest. Raises UserError
    for a backend that does not exist, is not installed or does not have the game.
    """
    if backend not in BACKENDS:
        raise UserError(
            f"There is no backend {backend!r}; type --backend followed by one of {', '.join(BACKENDS)}."
        )
    if workers is not None and workers < 1:
        raise UserError(f"The number of workers must be at least 1, got {workers}.")
    return EpisodePool(spec, _open_games(spec, backend, workers or usable_cores()), action_repeat)


def _open_games(spec: GameSpec, backend: str, workers: int) -> Games:
    if spec.gym_id is None:
        if backend != "auto":
            raise UserError(
                f"{spec.name} is played in this process and has no backends: leave out --backend {backend}."
            )
        from worldmodels.envs.toy import ToyGames

        return ToyGames(spec)
    if backend == "sketch" and spec.sketcher is None:
        raise UserError(f"Nobody sketches {spec.name}: type --backend gymnasium.")
    if backend in ("auto", "envpool"):
        from worldmodels.envs.envpool_pool import EnvPoolGames, why_envpool_cannot_play

        obstacle = why_envpool_cannot_play(spec)
        if obstacle is None:
            return EnvPoolGames(spec, workers)
        if backend == "envpool":
            raise UserError(f"{obstacle} Type --backend gymnasium to play it without EnvPool.")
    from worldmodels.envs.gymnasium_games import GymnasiumGames

    return GymnasiumGames(spec, workers, sketched=backend == "sketch")


def usable_cores() -> int:
    """Cores that this process may use; a container or taskset can allow fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
