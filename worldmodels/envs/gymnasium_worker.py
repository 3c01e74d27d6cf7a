"""One worker of the Gymnasium backend: `python -m worldmodels.envs.gymnasium_worker`, started by its pool.

It owns a few games and speaks over its standard input and output in the messages of `wire.py`. It leaves when
its input ends, so it cannot outlive the program that started it.

    {"make": id, "max_steps": n, "options": {...}}      -> {}
    {"seeds": [...]}                                    -> {} and frames
    {"play": [games], "actions": [...], "repeats": k}   -> {rewards, terminated, truncated, steps} and frames
    whatever fails                                      -> {"error": one line, "missing": is a package}
"""

import os
import sys
import traceback
from typing import Any, BinaryIO

import numpy as np

from worldmodels.envs.wire import read_message, write_message


class WorkerGames:
    """The games of one worker."""

    def __init__(self, gym_id: str, max_steps: int, options: dict[str, float]) -> None:
        self._gym_id = gym_id
        self._make = {"max_episode_steps": max_steps, **options}
        self._games: list[Any] = []
        self._new_game().close()  # so that a missing package is found now and not at the first episode

    def _new_game(self) -> Any:
        import gymnasium

        return gymnasium.make(self._gym_id, disable_env_checker=True, **self._make)

    def start(self, seeds: list[int]) -> np.ndarray:
        """Start one episode per seed; frames (n, H, W, 3) uint8."""
        for game in self._games:
            game.close()
        # Made afresh: nothing of the episode before, such as its physics' order of contacts, is left.
        self._games = [self._new_game() for _ in seeds]
        return np.stack([game.reset(seed=seed)[0] for game, seed in zip(self._games, seeds, strict=True)])

    def play(self, games: list[int], actions: np.ndarray, repeats: int) -> tuple[np.ndarray, dict[str, Any]]:
        """Hold each action for `repeats` steps, stopping at an end; frames (n, H, W, 3) uint8 and scalars."""
        frames, outcomes = [], []
        for position, action in zip(games, actions, strict=True):
            game, total, steps = self._games[position], 0.0, 0
            frame, terminated, truncated = None, False, False
            while steps < repeats and not (terminated or truncated):
                frame, reward, terminated, truncated, _ = game.step(action)
                total += float(reward)
                steps += 1
            frames.append(frame)
            outcomes.append((total, bool(terminated), bool(truncated), steps))
        names = ("rewards", "terminated", "truncated", "steps")
        return np.stack(frames), dict(zip(names, zip(*outcomes, strict=True), strict=True))


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests until they end."""
    games: WorkerGames | None = None
    while (message := read_message(requests)) is not None:
        request, _ = message
        frames, reply = None, {}
        try:
            if "make" in request:
                games = WorkerGames(request["make"], request["max_steps"], request["options"])
            elif games is None:
                raise RuntimeError("asked to play before a game was made")
            elif "seeds" in request:
                frames = games.start(request["seeds"])
            else:
                actions = np.array(request["actions"], np.float32)
                frames, reply = games.play(request["play"], actions, request["repeats"])
        except Exception as error:
            frames, reply = None, {"error": _one_line(error), "missing": _is_missing(error)}
        write_message(replies, reply, b"" if frames is None else frames.tobytes())


def _one_line(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error}, in {last.filename}, line {last.lineno}"


def _is_missing(error: Exception) -> bool:
    """Whether a package is missing. Gymnasium has its own exception for it, and may be missing itself."""
    return isinstance(error, ImportError) or type(error).__name__ == "DependencyNotInstalled"


def main() -> None:
    """Serve over standard input and output until the parent closes them."""
    os.environ["SDL_VIDEODRIVER"] = os.environ["SDL_AUDIODRIVER"] = "dummy"  # no window
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a game prints must not get among the replies
    try:
        serve(sys.stdin.buffer, replies)
    except BrokenPipeError:
        os._exit(0)  # the parent is gone; an ordinary exit would try to write the rest once more


if __name__ == "__main__":
    main()
