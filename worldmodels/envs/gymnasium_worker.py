"""One worker of the Gymnasium backend: `python -m worldmodels.envs.gymnasium_worker FD HELD`, started by its pool.

It owns a few games and speaks over its standard input and output in the messages of `wire.py`; frame i of the shared
memory behind the descriptor FD is that of its game i, as many rows of it as are kept. It leaves when its input ends,
so it cannot outlive the program that started it. The descriptor HELD closes with its last breath, see `sweeper.py`.

    {"make": id, "module": m, "max_steps": n, "options": {...}, "frame_shape": [...],
     "frame_key": k, "resets_clean": b, "painter": p}   -> {}
    {"seeds": [...]}                                    -> {}
    {"play": [games], "actions": [...], "repeats": k,
     "part": p}                                         -> {rewards, terminated, truncated, steps, missed},
                                                            for each p games
    whatever fails                                      -> {"error": one line, "missing": is a package,
                                                            "died": has the game's own program}
"""

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import numpy as np

from worldmodels.envs.wire import SharedFrames, read_message, write_message

STARTED_AT_ONCE = 4  # programs of games: each needs one core for a quarter of a second, and waits some more


class Game:
    """A game that paints a frame at every step. `car_painter.PaintedGame` is another kind, and what sketches too."""

    missed = 0  # tiles of a road that the last step has left behind untouched; here is no road

    def __init__(self, game: Any, frame_key: str | None) -> None:
        self._game, self._frame_key = game, frame_key

    def reset(self, seed: int) -> np.ndarray:
        return self._frame(self._game.reset(seed=seed)[0])

    def step(self, action: Any, look: bool) -> tuple[np.ndarray | None, float, bool, bool]:
        observation, reward, terminated, truncated, _ = self._game.step(action)
        frame = self._frame(observation)
        if terminated and not frame.any():
            frame = None  # ViZDoom has no picture of the dead: the last one stays
        return frame, float(reward), bool(terminated), bool(truncated)

    def _frame(self, observation: Any) -> np.ndarray:
        return observation if self._frame_key is None else observation[self._frame_key]

    def close(self) -> None:
        self._game.close()


class WorkerGames:
    """The games of one worker."""

    def __init__(self, request: dict[str, Any], descriptor: int) -> None:
        self._request = request
        self._shared = SharedFrames(tuple(request["frame_shape"]), descriptor)
        self._games: list[Any] = []
        self._new_game().close()  # so that a missing package is found now and not at the first episode

    def _new_game(self) -> Any:
        import gymnasium

        if self._request["module"] is not None:
            importlib.import_module(self._request["module"])
        game = gymnasium.make(
            self._request["make"],
            disable_env_checker=True,
            max_episode_steps=self._request["max_steps"],
            **self._request["options"],
        )
        if self._request["painter"] is not None:
            module, painter = self._request["painter"].split(":")
            return getattr(importlib.import_module(module), painter)(game)
        return Game(game, self._request["frame_key"])

    def start(self, seeds: list[int]) -> None:
        """Start one episode per seed."""
        if not self._request["resets_clean"]:
            # Made afresh: nothing of the episode before, such as its physics' order of contacts, is left.
            self.close()
        old = len(self._games)
        self._games += [self._new_game() for _ in range(old, len(seeds))]
        self._shared.resize(len(seeds))
        for position in range(min(old, len(seeds))):
            self._reset(position, seeds[position])
        if self._request[
            "resets_clean"
        ]:  # the first reset starts a program, and waits for it without Python's lock
            if old == 0 and seeds:
                # Alone: two programs that make the same folder at once, as ViZDoom's do, find it in their way.
                self._reset(0, seeds[0])
                old = 1
            with ThreadPoolExecutor(max_workers=STARTED_AT_ONCE) as threads:
                list(threads.map(self._reset, range(old, len(seeds)), seeds[old:]))
        else:
            for position in range(old, len(seeds)):
                self._reset(position, seeds[position])

    def _reset(self, position: int, seed: int) -> None:
        self._show(position, self._games[position].reset(seed))

    def play_in_parts(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Play what is asked for, and say how it went after every few games."""
        games, actions = request["play"], request["actions"]
        part = request.get("part", len(games))
        for first in range(0, len(games), part):
            some = slice(first, first + part)
            yield self.play(games[some], actions[some], request["repeats"])

    def play(self, games: list[int], actions: list[Any], repeats: int) -> dict[str, Any]:
        """Hold each action for `repeats` steps, stopping at an end."""
        outcomes = []
        for position, given in zip(games, actions, strict=True):
            action = np.array(given, np.float32) if isinstance(given, list) else given
            game, total, steps, missed = self._games[position], 0.0, 0, 0
            seen, terminated, truncated = None, False, False
            while steps < repeats and not (terminated or truncated):
                steps += 1
                frame, reward, terminated, truncated = game.step(action, steps == repeats)
                seen = seen if frame is None else frame
                total += reward
                missed += game.missed
            if seen is not None:
                self._show(position, seen)
            outcomes.append((total, terminated, truncated, steps, missed))
        names = ("rewards", "terminated", "truncated", "steps", "missed")
        return dict(zip(names, zip(*outcomes, strict=True), strict=True))

    def _show(self, position: int, frame: np.ndarray) -> None:
        shared = self._shared.frames[position]
        shared[:] = frame[: len(shared)]

    def close(self) -> None:
        """End the games."""
        games, self._games = self._games, []
        for game in games:
            game.close()


def serve(requests: BinaryIO, replies: BinaryIO, descriptor: int) -> None:
    """Answer requests until they end."""
    games: WorkerGames | None = None
    try:
        while (request := read_message(requests)) is not None:
            try:
                if "make" in request:
                    games = WorkerGames(request, descriptor)
                    write_message(replies, {})
                elif games is None:
                    raise RuntimeError("asked to play before a game was made")
                elif "seeds" in request:
                    games.start(request["seeds"])
                    write_message(replies, {})
                else:
                    for outcome in games.play_in_parts(request):
                        write_message(replies, outcome)
            except BrokenPipeError:
                raise
            except Exception as error:
                reply = {"error": _one_line(error), "missing": _is_missing(error), "died": _has_died(error)}
                write_message(replies, reply)
    finally:
        if games is not None:
            games.close()


def _one_line(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error}, in {last.filename}, line {last.lineno}"


def _is_missing(error: Exception) -> bool:
    """Whether a package is missing. Gymnasium has its own exception for it, and may be missing itself."""
    return isinstance(error, ImportError) or type(error).__name__ == "DependencyNotInstalled"


def _has_died(error: Exception) -> bool:
    """Whether the game is a program of its own that has gone. ViZDoom may be missing, so its class has no name here."""
    return type(error).__name__ in ("ViZDoomErrorException", "ViZDoomUnexpectedExitException")


def main() -> None:
    """Serve over standard input and output until the parent closes them."""
    for descriptor in sys.argv[1:]:
        os.set_inheritable(int(descriptor), False)  # for this process and not for the programs of its games
    os.environ["SDL_VIDEODRIVER"] = os.environ["SDL_AUDIODRIVER"] = "dummy"  # no window
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a game prints must not get among the replies
    with contextlib.suppress(BrokenPipeError):  # the parent is gone
        serve(sys.stdin.buffer, replies, int(sys.argv[1]))
    os._exit(0)  # an ordinary exit would try to write what the parent did not read


if __name__ == "__main__":
    main()
