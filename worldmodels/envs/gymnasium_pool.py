"""Games played by Gymnasium in worker processes: the reference backend.

Gymnasium's own AsyncVectorEnv has one process per game. Here a worker owns several games, which is kinder on
memory, and games that have ended are not stepped. Workers are plain child programs, not multiprocessing: they
never import the caller's script again, need no `if __name__ == "__main__"`, and stay small (no torch).
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldmodels.envs.game import GameSpec
from worldmodels.envs.pool import Turn
from worldmodels.envs.wire import read_message, write_message
from worldmodels.errors import UserError

Reply = tuple[dict[str, Any], bytes]


class GymnasiumGames:
    """B games on up to `workers` processes, which start at the first episode and stay until `close`."""

    def __init__(self, spec: GameSpec, workers: int) -> None:
        self._spec = spec
        self._most_workers = workers
        self._workers: list[subprocess.Popen[bytes]] = []
        self._owners = np.zeros(0, np.int64)  # (B,) the worker that plays the game
        self._positions = np.zeros(0, np.int64)  # (B,) where the game is in that worker's list

    def start(self, seeds: Sequence[int]) -> np.ndarray:
        """Start one episode per seed; raw frames (B, H, W, 3) uint8."""
        count = min(self._most_workers, len(seeds))
        self._hire(count)
        rows = np.arange(len(seeds))
        self._owners, self._positions = rows % count, rows // count
        owned = {worker: rows[self._owners == worker] for worker in range(count)}
        replies = self._ask(
            {worker: {"seeds": [seeds[row] for row in mine]} for worker, mine in owned.items()}
        )
        frames = np.zeros((len(seeds), *self._spec.frame_shape), np.uint8)
        for worker, mine in owned.items():
            frames[mine] = self._frames(replies[worker])
        return frames

    def play(self, rows: np.ndarray, actions: np.ndarray, repeats: int) -> Turn:
        """Hold actions (n, A) float32 for `repeats` steps in games `rows` (n,), stopping at an end."""
        owners, positions = self._owners[rows], self._positions[rows]  # (n,)
        # Workers whose games have all ended are not asked.
        owned = {int(worker): np.flatnonzero(owners == worker) for worker in np.unique(owners)}
        requests = {
            worker: {"play": positions[mine].tolist(), "actions": actions[mine].tolist(), "repeats": repeats}
            for worker, mine in owned.items()
        }
        replies = self._ask(requests)
        turn = Turn.blank(len(rows), self._spec.frame_shape)
        for worker, mine in owned.items():
            outcome, _ = replies[worker]
            turn.frames[mine] = self._frames(replies[worker])
            turn.rewards[mine] = outcome["rewards"]
            turn.terminated[mine] = outcome["terminated"]
            turn.truncated[mine] = outcome["truncated"]
            turn.steps[mine] = outcome["steps"]
        return turn

    def _frames(self, reply: Reply) -> np.ndarray:
        return np.frombuffer(reply[1], np.uint8).reshape(-1, *self._spec.frame_shape)

    def _hire(self, count: int) -> None:
        """Have at least `count` workers."""
        new = range(len(self._workers), count)
        self._workers += [_start_worker() for _ in new]
        spec = self._spec
        make = {"make": spec.gym_id, "max_steps": spec.max_steps, "options": dict(spec.options)}
        self._ask(dict.fromkeys(new, make))

    def _ask(self, requests: Mapping[int, dict[str, Any]]) -> dict[int, Reply]:
        """Send requests, which the workers answer side by side. A failure or Ctrl-C ends all workers."""
        try:
            for worker, request in requests.items():
                with contextlib.suppress(BrokenPipeError):  # a dead worker is reported by the missing answer
                    write_message(_pipe(self._workers[worker].stdin), request)
            return {worker: self._answer(self._workers[worker]) for worker in requests}
        except BaseException:  # an answer that nobody read would be taken for the next one
            self.close()
            raise

    def _answer(self, worker: "subprocess.Popen[bytes]") -> Reply:
        reply = read_message(_pipe(worker.stdout))
        if reply is None:
            raise UserError(
                f"A worker process that plays {self._spec.name} died, exit code {worker.wait()} (-9 is "
                "mostly a lack of memory): run the command again, with fewer episodes at once."
            )
        error = reply[0].get("error")
        if error and reply[0]["missing"]:
            raise UserError(
                f"Gymnasium cannot play {self._spec.gym_id} on this machine ({error}). "
                'Type: pip install "gymnasium[box2d]"'
            )
        if error:
            raise RuntimeError(f"{self._spec.gym_id} failed in a worker process: {error}")
        return reply

    def close(self) -> None:
        """End the workers; may be called twice."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.kill()  # they hold nothing that needs saving
        for worker in workers:
            worker.wait()
            _pipe(worker.stdout).close()
            with contextlib.suppress(BrokenPipeError):  # of a request that was never read
                _pipe(worker.stdin).close()

    def __del__(self) -> None:
        self.close()


def _pipe(pipe: Any) -> Any:
    assert pipe is not None, "workers are started with pipes"
    return pipe


def _start_worker() -> "subprocess.Popen[bytes]":
    package_root = str(Path(__file__).resolve().parents[2])
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # the workers are the parallelism
    return subprocess.Popen(
        # -P: a json.py in the user's folder is not imported.  -W: Gymnasium warns at every make.
        [sys.executable, "-P", "-W", "ignore", "-m", "worldmodels.envs.gymnasium_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **one_thread, "PYTHONPATH": os.pathsep.join(paths)},
        start_new_session=True,  # Ctrl-C is for the parent alone, which then ends the workers
    )
