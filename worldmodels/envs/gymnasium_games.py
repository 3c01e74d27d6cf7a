"""Games played by Gymnasium in worker processes: the reference backend.

Gymnasium's own AsyncVectorEnv has one process per game. Here a worker owns several games, which is kinder on
memory, and games that have ended are not stepped. A worker answers twice a turn, so that this process resizes the
first half of its frames while it plays the second half of its games.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from worldmodels.envs.game import FRAME_SIZE, GameSpec, resized
from worldmodels.envs.hired import HiredWorker
from worldmodels.envs.pool import Turn
from worldmodels.errors import UserError

# Answers of a worker to a turn: with more, frames are resized earlier, and processes wake each other more often.
PARTS = 2
Heard = Callable[[int, int, dict[str, Any]], None]  # worker, the first of its games in the answer, the answer


class GymnasiumGames:
    """B games on up to `workers` processes, which start at the first episode and stay until `close`.

    Sketched, their frames are those of the game's sketcher, and everything else is the same.
    """

    def __init__(self, spec: GameSpec, workers: int, sketched: bool = False) -> None:
        self._spec = spec
        self.counts_missed = spec.has_road
        self._painter = spec.sketcher if sketched else spec.painter
        self._most_workers = workers
        self._workers: list[HiredWorker] = []
        self._owners = np.zeros(0, np.int64)  # (B,) the worker that plays the game
        self._positions = np.zeros(0, np.int64)  # (B,) where the game is in that worker's list

    def start(self, seeds: Sequence[int]) -> np.ndarray:
        """Start one episode per seed; frames (B, 64, 64, 3) uint8."""
        count = min(self._most_workers, len(seeds))
        self._hire(count)
        rows = np.arange(len(seeds))
        self._owners, self._positions = rows % count, rows // count
        owned = {worker: rows[self._owners == worker] for worker in range(count)}
        for worker, mine in owned.items():
            self._workers[worker].shared.resize(len(mine))
        self._ask({worker: {"seeds": [seeds[row] for row in mine]} for worker, mine in owned.items()})
        frames = np.zeros((len(seeds), FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
        for worker, mine in owned.items():
            frames[mine] = resized(self._workers[worker].shared.frames)
        return frames

    def play(self, rows: np.ndarray, actions: np.ndarray, repeats: int) -> Turn:
        """Hold actions (n, A) float32 for `repeats` steps in games `rows` (n,), stopping at an end."""
        owners, positions = self._owners[rows], self._positions[rows]  # (n,)
        # Workers whose games have all ended are not asked.
        owned = {int(worker): np.flatnonzero(owners == worker) for worker in np.unique(owners)}
        taken = self._spec.game_actions(actions)
        size = -(-max(map(len, owned.values())) // PARTS)  # games to an answer
        requests = {
            worker: {
                "play": positions[mine].tolist(),
                "actions": taken[mine].tolist(),
                "repeats": repeats,
                "part": size,
            }
            for worker, mine in owned.items()
        }
        turn = Turn.blank(len(rows))

        def hear(worker: int, first: int, outcome: dict[str, Any]) -> None:
            part = owned[worker][first : first + size]  # places among the n
            turn.frames[part] = resized(self._workers[worker].shared.of(positions[part]))
            turn.rewards[part] = outcome["rewards"]
            turn.terminated[part] = outcome["terminated"]
            turn.truncated[part] = outcome["truncated"]
            turn.steps[part] = outcome["steps"]
            turn.missed[part] = outcome["missed"]

        self._ask(requests, hear)
        return turn

    def _hire(self, count: int) -> None:
        """Have at least `count` workers."""
        spec, kept_shape = self._spec, (self._spec.frame_rows, *self._spec.frame_shape[1:])
        make = {
            "make": spec.gym_id,
            "module": spec.module,
            "max_steps": spec.max_steps,
            "options": dict(spec.options),
            "frame_shape": kept_shape,
            "frame_key": spec.frame_key,
            "resets_clean": spec.resets_clean,
            "painter": self._painter,
        }
        new = range(len(self._workers), count)
        for _ in new:
            self._workers.append(HiredWorker(kept_shape))
        self._ask(dict.fromkeys(new, make))

    def _ask(self, requests: Mapping[int, dict[str, Any]], hear: Heard | None = None) -> None:
        """Send requests, which the workers answer side by side, and have each answer heard as it comes.

        A failure or Ctrl-C ends all workers: an answer that nobody read would be taken for the next one.
        """
        try:
            for worker, request in requests.items():
                self._workers[worker].ask(request)
            games = {worker: len(request.get("play", [0])) for worker, request in requests.items()}
            size = max((request.get("part", 1) for request in requests.values()), default=1)  # alike for all
            for first in range(0, max(games.values(), default=0), size):
                for worker in [worker for worker in requests if first < games[worker]]:
                    reply = self._answer(self._workers[worker])
                    if hear is not None:
                        hear(worker, first, reply)
            for worker, request in requests.items():
                self._workers[worker].rest(started="seeds" in request)
        except BaseException:
            self.close()
            raise

    def _answer(self, worker: HiredWorker) -> dict[str, Any]:
        name, again = self._spec.name, "run the command again, with fewer episodes at once."
        reply = worker.answer()
        if reply is None and worker.lost_engine:
            raise UserError(f"The program that plays {name} died, mostly for a lack of memory: {again}")
        if reply is None:
            raise UserError(
                f"A worker process that plays {name} died, exit code {worker.process.wait()} (-9 is mostly "
                f"a lack of memory): {again}"
            )
        error = reply.get("error")
        if error and reply["missing"]:
            raise UserError(
                f"Gymnasium cannot play {self._spec.gym_id} on this machine ({error}). "
                f"Type: pip install {_quoted(self._spec.packages)}"
            )
        if error and reply["died"]:
            raise UserError(
                f"The program that plays {name} died ({error}), mostly for a lack of memory: {again}"
            )
        if error:
            raise RuntimeError(f"{self._spec.gym_id} failed in a worker process: {error}")
        return reply

    def close(self) -> None:
        """End the workers; may be called twice."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.dismiss()
        for worker in workers:
            worker.see_off()

    def __del__(self) -> None:
        self.close()


def _quoted(packages: str) -> str:
    """As a shell takes it: square brackets are a pattern there."""
    return f'"{packages}"' if "[" in packages else packages
