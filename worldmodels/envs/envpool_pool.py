"""Games played by EnvPool: C++ games on threads, the fast backend."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldmodels.envs.game import GameSpec
from worldmodels.envs.pool import Turn


def why_envpool_cannot_play(spec: GameSpec) -> str | None:
    """One sentence that says what is missing, or None when EnvPool can play the game."""
    try:
        import envpool
    except ImportError as error:
        return f"EnvPool cannot be imported on this machine ({error})."
    if spec.gym_id not in envpool.list_all_envs():
        return f"EnvPool does not have {spec.gym_id}."
    return None


class EnvPoolGames:
    """B games on up to `workers` threads."""

    counts_missed = False

    def __init__(self, spec: GameSpec, workers: int) -> None:
        self._spec = spec
        self._workers = workers
        self._pool: Any = None

    def start(self, seeds: Sequence[int]) -> np.ndarray:
        """Start one episode per seed; frames (B, 64, 64, 3) uint8."""
        import envpool

        self.close()
        make: Any = envpool.make  # typed for the keywords that all of its games share
        # A pool made afresh (5 ms) makes each episode a function of its seed: EnvPool's own reset goes on
        # with the random numbers of the episode before.
        self._pool = make(
            self._spec.gym_id,
            env_type="gymnasium",
            num_envs=len(seeds),
            num_threads=min(self._workers, len(seeds)),
            seed=list(seeds),
            max_episode_steps=self._spec.max_steps,
            **dict(self._spec.options),
        )
        frames, info = self._pool.reset()
        return self._spec.observe(frames[np.argsort(info["env_id"])])

    def play(self, rows: np.ndarray, actions: np.ndarray, repeats: int) -> Turn:
        """Hold actions (n, A) float32 for `repeats` steps in games `rows` (n,), stopping at an end.

        Only games that go on are stepped: EnvPool would start a new episode in one that has ended.
        """
        turn = Turn.blank(len(rows))
        raw_frames = np.zeros((len(rows), *self._spec.frame_shape), np.uint8)
        for _ in range(repeats):
            going = np.flatnonzero(~(turn.terminated | turn.truncated))  # positions in rows
            if not len(going):
                break
            raw, reward, terminated, truncated, info = self._pool.step(
                actions[going], rows[going].astype(np.int32)
            )
            at = np.searchsorted(rows, info["env_id"])  # whatever order the games answer in
            raw_frames[at] = raw
            turn.rewards[at] += reward
            turn.terminated[at] = terminated
            turn.truncated[at] = truncated
            turn.steps[at] += 1
        turn.frames[:] = self._spec.observe(raw_frames)
        return turn

    def close(self) -> None:
        """Join EnvPool's threads."""
        self._pool = None
