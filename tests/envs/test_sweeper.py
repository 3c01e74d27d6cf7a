"""However playing ends, no engine of ViZDoom runs on, and nothing lies about: no file, no folder, no shared memory."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from worldmodels.envs import hired
from worldmodels.envs.game import game
from worldmodels.envs.gymnasium_games import GymnasiumGames
from worldmodels.envs.pool import EpisodePool
from worldmodels.envs.sweeper import start_sweeper
from worldmodels.errors import UserError

pytest.importorskip("vizdoom")
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc"
)

SCRIPT = """
import signal
import sys
import numpy as np
from worldmodels.envs.game import game
from worldmodels.envs.gymnasium_games import GymnasiumGames
from worldmodels.envs.pool import EpisodePool
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start its background jobs without it
games = GymnasiumGames(game("take-cover"), workers=2)
with EpisodePool(game("take-cover"), games) as pool:
    pool.reset([1, 2, 3])
    print(*[worker.process.pid for worker in games._workers], flush=True)
    sys.stdin.readline()  # until the test has looked at the engines
    for tic in range(STEPS):
        if tic % 20 == 19:
            pool.reset([1, 2, 3])
        pool.step(np.zeros((3, 1), np.float32))
"""


class Played:
    """A program at play, in an empty folder and with a temporary folder of its own."""

    def __init__(self, folder: Path, steps: int) -> None:
        self.temporary, self.current = folder / "temporary", folder / "current"
        self.temporary.mkdir()
        self.current.mkdir()
        variables = {"PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(self.temporary)}
        self.parent = subprocess.Popen(
            [sys.executable, "-c", SCRIPT.replace("STEPS", str(steps))],
            cwd=self.current,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.workers = [int(pid) for pid in self.parent.stdout.readline().split()]
        if not self.workers:
            pytest.fail(self.parent.communicate()[1])
        self.engines = [pid for worker in self.workers for pid in children(worker)]
        assert len(self.engines) == 3
        self.memories = {path for engine in self.engines for path in shared_memory(engine)}
        assert self.memories
        self.parent.stdin.write("\n")
        self.parent.stdin.flush()

    def litter(self) -> list[str]:
        """Everything that should be gone by the end."""
        running = [str(pid) for pid in (*self.workers, *self.engines) if state(pid) not in ("", "Z")]
        files = [*self.temporary.iterdir(), *self.current.iterdir(), *filter(Path.exists, self.memories)]
        return running + [str(path) for path in files]


def state(pid: int) -> str:
    """One letter, Z for an ended process that nobody has asked about yet; empty: there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def children(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children()]


def shared_memory(pid: int) -> set[Path]:
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line.split()[-1]) for line in maps if "/dev/shm/" in line}


def wait_until(condition: Callable[[], bool], seconds: float = 90.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


ENDS: dict[str, tuple[Callable[[Played], None], str]] = {
    "Ctrl-C": (lambda played: os.killpg(played.parent.pid, signal.SIGINT), "KeyboardInterrupt"),
    "the program is killed": (lambda played: kill(played.parent.pid), ""),
    "the program and its workers are killed": (lambda played: kill(played.parent.pid, *played.workers), ""),
    "a worker is killed": (
        lambda played: kill(played.workers[0]),
        "UserError: A worker process that plays take-cover died, exit code -9",
    ),
    "an engine is killed": (
        lambda played: kill(played.engines[0]),
        "UserError: The program that plays take-cover died",
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_left_behind_when(end: str, tmp_path: Path):
    played = Played(tmp_path, steps=1_000_000)
    assert [path.name for path in played.temporary.iterdir()], "the workers' folders"
    time.sleep(0.2)  # so that it is stepping
    strike, last_words = ENDS[end]
    strike(played)
    _, errors = played.parent.communicate(timeout=200)
    assert wait_until(lambda: not played.litter()), played.litter()
    assert errors.count("Traceback") == (1 if last_words else 0), (
        errors
    )  # the program's own, none of a worker
    assert last_words in errors[-400:], errors


def test_a_worker_that_waits_for_a_dead_engine_is_noticed(monkeypatch: pytest.MonkeyPatch):
    """As one killed while it held the lock of ViZDoom's queue; here the worker is stopped, and never answers."""
    monkeypatch.setattr(hired, "SUSPICIOUS", 1.0)
    games = GymnasiumGames(game("take-cover"), workers=1)
    with EpisodePool(game("take-cover"), games) as pool:
        pool.reset([1, 2])
        (worker,) = games._workers
        engine = children(worker.process.pid)[0]
        memory = shared_memory(engine)
        assert memory
        os.kill(engine, signal.SIGKILL)
        assert wait_until(lambda: engine not in children(worker.process.pid), 20)
        os.kill(worker.process.pid, signal.SIGSTOP)
        with pytest.raises(UserError, match="The program that plays take-cover died"):
            pool.step(np.zeros((2, 1), np.float32))
    assert not list(filter(Path.exists, memory))


def test_nothing_is_left_behind_by_an_ordinary_end(tmp_path: Path):
    played = Played(tmp_path, steps=3)
    assert played.parent.communicate(timeout=200) == ("", "")
    assert played.parent.returncode == 0
    assert played.litter() == [], "at once: close waits for everything"


def test_a_sweeper_waits_for_the_end_of_its_worker_and_takes_the_folder_along(tmp_path: Path):
    folder, elsewhere = tmp_path / "worker", tmp_path / "elsewhere"
    for path in (folder, elsewhere):
        path.mkdir()
        (path / "litter").touch()
    ends, held = os.pipe()
    game = subprocess.Popen(
        ["sleep", "1000"], start_new_session=True
    )  # of the worker's group, and does not hear of it
    sweeper = start_sweeper(game.pid, folder, ends)
    with pytest.raises(subprocess.TimeoutExpired):
        sweeper.wait(0.5)
    assert folder.exists()
    os.close(held)
    assert sweeper.wait(60) == 0
    assert game.wait(60) == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]
    os.close(ends)
